/// What the upgrade of one service will do, decided before anything is touched.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backup/discover.hpp"
#include "upgrade/edit.hpp"
#include "upgrade/judge.hpp"
#include "upgrade/registry.hpp"
#include "wiring/wiring.hpp"

namespace dm::upgrade {

struct Plan {
  std::string service{}, from{}, image{};
  bool pull_always = false;             ///< the tag stays, what it names may be newer
  bool datastore = false;               ///< a driver knows it
  Judgement judgement{};
  ImageEdit edit{};                     ///< no path = the file stays
  std::vector<std::string> own{};       ///< subjects of its own data
  std::vector<std::string> trees{};     ///< those of them that are volumes and folders
  std::vector<std::string> needed{};    ///< datastores that it needs: an application migrates its database
  std::vector<std::string> shared{};    ///< those of them that others use, too
  std::vector<std::string> clients{};   ///< services that need it
  std::vector<std::string> hints{};
  std::string volume{};                 ///< of its data, where that has to go through a dump
  std::string data_volume{};            ///< of its data, where that is changed in place
};

struct Around {
  const compose::Project& project;
  const wiring::Wiring& wiring;
  const product::Catalogue& products;
  const backup::Inventory& inventory;
  engine::Engine& engine;
  Registry& registry;
};

/// Of `service` to the tag or image `to` ("" = the newest within its version, as its registry says). A step that must not be taken has a refusal in its
/// judgement. Errors: `not_found`, `unsupported` (a digest, an image out of a variable, data in no volume with a name), those of the registry.
Result<Plan> make_plan(const Around& around, const std::string& service, std::string to, const Deadline& deadline);

/// For people: traps, and the steps in their order.
std::string text(const Plan& plan);

}  // namespace dm::upgrade

/// What a running project keeps, and who saves it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backup/driver.hpp"
#include "backup/quiesce.hpp"
#include "product/product.hpp"

namespace dm::backup {

/// One thing to save.
struct Subject {
  enum class What : std::uint8_t { datastore, volume, folder, project };
  What what = What::datastore;
  std::string id{};                       ///< "db", "volume:uploads", "folder:/srv/data", "project"
  Target target{};                        ///< of a datastore; for a tree `facts` has "path" on the engine's machine and "volume"
  std::vector<std::string> services{};    ///< that use it
  std::vector<Still> still{};             ///< of a tree: containers that stand still while it is copied
  std::int64_t still_limit = 300;         ///< seconds: they go on after as long, even where the copy is not made
  bool files_first = false;               ///< of a tree: it is saved before the databases
  std::vector<std::string> quiesce{};     ///< why it is so, a line for each service: "app: pause, by its label"
  std::string unsaved_why{};              ///< of a datastore: why its owner accepts that its server keeps more than is saved; "" = a finding
  std::string config_hash{};
  bool running = true;
};

/// Something that keeps data and is not saved, or need not be.
struct Skipped {
  std::string id{};
  std::vector<std::string> services{};
  std::string reason{};
  bool finding = true;                    ///< false: that is right so (a socket, a device, excluded by its owner with a reason)
};

struct Inventory {
  std::string project{}, engine_id{};
  std::string folder{};                   ///< of the project's files, "" = not known or not here
  std::vector<Subject> subjects{};        ///< datastores first, then trees: files that rows refer to are saved after the rows
  std::vector<Skipped> skipped{};
  const Subject* find(std::string_view id) const;
};

/// How much depends on a subject: it decides how often and how deeply its backup is proven. In a manifest it is the fact "tier".
constexpr std::string_view kCritical = "critical", kStandard = "standard", kLow = "low";
constexpr bool is_tier(std::string_view text) { return text == kCritical || text == kStandard || text == kLow; }
/// Of what was saved, or is to be.
std::string tier_of(const Target& target);

struct Wishes {
  std::map<std::string, std::string> tiers{};  ///< of subjects or services, as the settings say
  std::int64_t quiesce_limit = 300;       ///< seconds that services stand still at most; a label may say less or more
  std::vector<std::string> exclude{};     ///< ids of subjects, or services; each with its reason behind " # "
  std::vector<std::string> exclude_paths{};  ///< left out of trees: the repository itself
};

/// Looks at the containers of `project` (by Compose's labels, whoever started it). Errors: those of the engine; `not_found` where the
/// project has no container.
Result<Inventory> discover(engine::Engine& engine, const product::Catalogue& products, std::string_view project, const Wishes& wishes, const Deadline& deadline);

/// The kind of datastore that an image is by name, else by what runs in it: "postgres", ..., "" = none that is known. Pure.
std::string kind_of(const product::Catalogue& products, std::string_view image, const std::vector<std::string>& processes);

}  // namespace dm::backup

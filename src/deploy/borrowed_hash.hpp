/// Hashes of services that live in the network of another one, or mount its volumes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compose/project.hpp"

namespace dm::deploy {

struct Labelled {
  std::string_view service{}, id{}, config_hash{};  ///< of a container
};

/// `config --hash` takes `network_mode: service:X` (`pid`, `ipc`, `volumes_from`) as it is written; the label of a container is made of what Compose puts in its place:
/// the id of X's first container. Where the label of one of `containers`, in the order of their numbers, is what its service hashes to with these ids, `hashes` is set to it.
void settle_borrowed(std::map<std::string, std::string>& hashes, compose::Project& project, const std::vector<Labelled>& containers);

/// The same for anything with an `id`, a `service` and a `config_hash`.
template <class Container>
void settle_borrowed_hashes(std::map<std::string, std::string>& hashes, compose::Project& project, const std::vector<Container>& containers) {
  std::vector<Labelled> list;
  for (const auto& container : containers) list.push_back({container.service, container.id, container.config_hash});
  settle_borrowed(hashes, project, list);
}

}  // namespace dm::deploy

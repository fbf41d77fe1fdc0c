#include "wiring/wiring.hpp"

#include <algorithm>

#include "wiring/steps.hpp"

namespace dm::wiring {
Wiring wire(Project& project, const product::Catalogue& products) {
  Wiring wiring;
  wiring.project = &project;
  wiring.products = &products;
  find_products(wiring);
  find_one_shots(wiring);
  find_names(wiring);
  find_listeners(wiring);
  find_config_files(wiring, project);
  find_references(wiring);
  find_mounts(wiring, project.texts.files());
  find_datastores(wiring);
  find_variables(wiring, project);
  find_profile_troubles(wiring, project.texts.files());
  build_graph(wiring);
  return wiring;
}

const Service& Wiring::service(ServiceId id) const { return project->services.at(id); }

ServiceId Wiring::id_of(std::string_view name) const {
  const auto found = project->service_index.find(name);
  return found != project->service_index.end() ? static_cast<ServiceId>(found->second) : kNone;
}

std::vector<std::string> Wiring::lasting_datastores() const {
  std::vector<std::string> out;
  for (const auto& store : datastores) {
    std::string name(service(store.service).name);
    if (!store.ephemeral && std::ranges::find(out, name) == out.end()) out.push_back(std::move(name));
  }
  return out;
}

std::vector<std::string_view> Wiring::common_networks(ServiceId a, ServiceId b) const {
  std::vector<std::string_view> out;
  for (const auto& mine : service(a).networks)
    for (const auto& theirs : service(b).networks)
      if (mine.network == theirs.network) out.push_back(mine.network);
  return out;
}

bool Wiring::reachable(ServiceId a, ServiceId b) const {
  const auto shares = [this](ServiceId id, ServiceId other) {
    return service(id).network_mode.value == std::string("service:") + std::string(service(other).name);
  };
  return a == b || shares(a, b) || shares(b, a) || !common_networks(a, b).empty();
}

}  // namespace dm::wiring

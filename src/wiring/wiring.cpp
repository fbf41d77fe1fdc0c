#include "wiring/wiring.hpp"

#include <algorithm>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

bool any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

/// Runs to completion: somebody waits for it to complete, or it must not restart and is named like a job.
void find_one_shots(Wiring& wiring) {
  const auto& services = wiring.project->services;
  wiring.one_shot.assign(services.size(), false);
  for (const Service& service : services)
    for (const auto& dependency : service.depends_on)
      if (dependency.condition == "service_completed_successfully")
        if (const auto id = wiring.id_of(dependency.service); id != kNone) wiring.one_shot[id] = true;
  for (ServiceId id = 0; id < services.size(); ++id) {
    const Service& service = services[id];
    const bool may_end = !service.restart || service.restart.value == "no" || service.restart.value.starts_with("on-failure");
    if (may_end && any_of(service.name, {"init", "migrat", "setup", "bootstrap", "seed", "job"})) wiring.one_shot[id] = true;
  }
}

}  // namespace

Wiring wire(Project& project, const product::Catalogue& products) {
  Wiring wiring;
  wiring.project = &project;
  wiring.products = &products;
  for (const Service& service : project.services)
    wiring.product_of.push_back(service.image ? products.by_image(service.image.value) : nullptr);
  find_one_shots(wiring);
  find_names(wiring);
  find_listeners(wiring);
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

const Datastore* Wiring::datastore(ServiceId id) const {
  const auto found = std::ranges::find(datastores, id, &Datastore::service);
  return found != datastores.end() ? &*found : nullptr;
}

std::optional<bool> Wiring::listens(ServiceId id, std::uint16_t port) const {
  bool certain = false;
  for (const Listener& listener : listeners) {
    if (listener.service != id) continue;
    if (listener.port == port) return true;
    certain = certain || listener.certain;
  }
  return certain ? std::optional<bool>(false) : std::nullopt;
}

}  // namespace dm::wiring

#include "wiring/steps.hpp"

namespace dm::wiring {

void find_names(Wiring& wiring) {
  for (ServiceId id = 0; id < wiring.project->services.size(); ++id) {
    const Service& service = wiring.service(id);
    for (const auto& use : service.networks) {
      const auto add = [&](std::string_view name, DnsName::Origin origin, Location where) {
        wiring.names.push_back({use.network, name, id, origin, where});
      };
      add(service.name, DnsName::Origin::service, service.where);
      if (service.container_name) add(service.container_name.value, DnsName::Origin::container_name, service.container_name.where());
      for (const auto& alias : use.aliases) add(alias.value, DnsName::Origin::alias, alias.where());
    }
  }
}

void find_listeners(Wiring& wiring) {
  for (ServiceId id = 0; id < wiring.project->services.size(); ++id) {
    const Service& service = wiring.service(id);
    const auto* product = wiring.product_of[id];
    if (product != nullptr) {
      for (const auto& fact : product->ports) {
        const bool moved = (!fact.changed_by.empty() && service.env(fact.changed_by) != nullptr) || service.command_node != nullptr ||
                           service.entrypoint_node != nullptr;
        wiring.listeners.push_back({id, fact.port, fact.protocol, "product " + product->id, !moved});
      }
    }
    for (const auto& port : service.ports)
      wiring.listeners.push_back({id, static_cast<std::uint16_t>(port.target), std::string(port.protocol), "ports", false});
  }
}

}  // namespace dm::wiring

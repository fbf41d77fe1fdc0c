#include "wiring/steps.hpp"

namespace dm::wiring {

void find_names(Wiring& wiring) {
  for (ServiceId id = 0; id < wiring.project->services.size(); ++id) {
    const Service& service = wiring.service(id);
    for (const auto& use : service.networks) {
      const auto add = [&](std::string_view name, DnsName::Origin origin, Location where) {
        if (!name.empty()) wiring.names.push_back({use.network, name, id, origin, where});
      };
      add(service.name, DnsName::Origin::service, service.where);
      if (service.container_name) add(service.container_name.value, DnsName::Origin::container_name, service.container_name.where());
      for (const auto& alias : use.aliases) add(alias.value, DnsName::Origin::alias, alias.where());
      if (service.hostname) add(service.hostname.value, DnsName::Origin::hostname, service.hostname.where());
    }
  }
}

}  // namespace dm::wiring

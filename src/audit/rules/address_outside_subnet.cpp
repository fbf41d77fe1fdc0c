#include <fmt/format.h>

#include <algorithm>
#include "audit/addresses.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule address_outside_subnet{
    .id = "DM0110",
    .name = "address-outside-subnet",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "a fixed address lies in no subnet of its network",
    .rationale = "The engine refuses to start the container: a fixed address is only allowed inside a subnet that "
                 "the network declares.",
    .fix = "Declare the subnet under `networks: NAME: ipam: config:`, or use the service's name instead of "
           "an address.",
    .checks = "127 O31",
    .bad = R"(services:
  dns:
    image: example/dns:1
    networks:
      lan:
        ipv4_address: 172.30.0.53  # <- DM0110
networks:
  lan:
    ipam: {config: [{subnet: 172.20.0.0/24}]}
)",
    .good = R"(services:
  dns:
    image: example/dns:1
    networks:
      lan:
        ipv4_address: 172.20.0.53
networks:
  lan:
    ipam: {config: [{subnet: 172.20.0.0/24}]}
)",
    .look_alike = R"(services:
  dns:
    image: example/dns:1
    networks:
      lan:
        ipv4_address: 172.20.1.53
      outside:
        ipv4_address: 10.0.0.9
networks:
  lan:
    ipam: {config: [{subnet: 172.20.0.0/23}]}
  outside: {external: true}
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& use : service.networks) {
              const auto address = ipv4(use.ipv4.value);
              const auto* network = input.project.network(use.network);
              if (!address || network == nullptr || network->external || network->node == nullptr) continue;
              std::string declared;
              bool inside = false;
              for (const auto& subnet : subnets(*network)) {
                inside = inside || subnet.holds(*address);
                declared += fmt::format("{}{}", declared.empty() ? "" : ", ", subnet.text);
              }
              if (inside) continue;
              report.add(use.ipv4.where(), id,
                         fmt::format("address {} of '{}' lies in no subnet of network '{}'", use.ipv4.value, service.name, use.network),
                         declared.empty() ? "the network declares none, and the engine takes fixed addresses only where one is declared" : "it declares " + declared);
            }
          });
        },
};

}  // namespace dm::audit::rules

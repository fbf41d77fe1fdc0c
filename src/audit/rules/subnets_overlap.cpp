#include <fmt/format.h>

#include <algorithm>
#include "audit/addresses.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule subnets_overlap{
    .id = "DM0111",
    .name = "subnets-overlap",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "two networks declare overlapping subnets",
    .rationale = "The engine refuses to create the second network ('Pool overlaps with other one on this address "
                 "space'), so the project does not start.",
    .fix = "Give each network a range of its own, or none: the engine then chooses a free one.",
    .checks = "127 O31",
    .bad = R"(services:
  a: {image: "example/a:1", networks: [front, back]}
networks:
  front:
    ipam: {config: [{subnet: 172.28.0.0/16}]}
  back:
    ipam:
      config:
        - subnet: 172.28.5.0/24  # <- DM0111
)",
    .good = R"(services:
  a: {image: "example/a:1", networks: [front, back]}
networks:
  front:
    ipam: {config: [{subnet: 172.28.0.0/24}]}
  back:
    ipam: {config: [{subnet: 172.28.5.0/24}]}
)",
    .look_alike = R"(services:
  a: {image: "example/a:1", networks: [front, back]}
networks:
  front:
    ipam: {config: [{subnet: 172.28.0.0/24}, {subnet: "fd00::/64"}]}
  back:
    external: true
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          struct Declared {
            const compose::Network* network;
            Subnet subnet;
          };
          std::vector<Declared> seen;
          for (const auto& network : input.project.networks) {
            if (network.external || network.node == nullptr) continue;
            for (const auto& subnet : subnets(network)) {
              const auto clash = std::ranges::find_if(seen, [&](const Declared& other) { return other.subnet.holds(subnet.base) || subnet.holds(other.subnet.base); });
              if (clash != seen.end())
                report.add(subnet.where, wiring::kNone,
                           fmt::format("subnet {} of network '{}' overlaps {} of '{}'", subnet.text, network.key, clash->subnet.text, clash->network->key));
              seen.push_back({&network, subnet});
            }
          }
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {
namespace {

/// The engine drops what containers send each other on this network.
bool mute(const compose::Network& network) {
  if (network.node == nullptr) return false;
  const auto* option = network.node->at({"driver_opts", "com.docker.network.bridge.enable_icc"});
  return option != nullptr && option->text == "false";
}

}  // namespace

constinit const Rule mute_network{
    .id = "DM0211",
    .name = "mute-network",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a service calls another by a network that lets no container reach another",
    .rationale = "Where two services share several networks, the engine's DNS answers with the address on the first of them: one that is not internal before "
                 "those that are, then by name. If that one has enable_icc=false, every packet between the two is dropped, whatever else they share.",
    .fix = "Give the two a network of their own without enable_icc=false, and take one of them off this one.",
    .checks = "105",
    .bad = R"(services:
  edge:
    image: example/edge:1.0
    environment:
      UPSTREAM: http://app:8080  # <- DM0211
    networks: [front, out]
  app:
    image: example/app:1.0
    networks: [front, out]
networks:
  front: {internal: true}
  out: {driver_opts: {com.docker.network.bridge.enable_icc: "false"}}
)",
    .good = R"(services:
  edge:
    image: example/edge:1.0
    environment:
      UPSTREAM: http://app:8080
    networks: [front, edge-out]
  app:
    image: example/app:1.0
    networks: [front, out]
networks:
  front: {internal: true}
  edge-out: {}
  out: {driver_opts: {com.docker.network.bridge.enable_icc: "false"}}
)",
    .look_alike = R"(services:
  edge:
    image: example/edge:1.0
    environment:
      UPSTREAM: http://app:8080
    networks: [front, out]
  app:
    image: example/app:1.0
    networks: [front, out]
networks:
  front: {}
  out: {driver_opts: {com.docker.network.bridge.enable_icc: "false"}}
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          const auto& project = *input.wiring.project;
          for (const auto& reference : input.wiring.references) {
            if (!reference.firm || reference.outcome != wiring::Reference::Outcome::reachable || reference.from == reference.to) continue;
            const auto &from = input.wiring.service(reference.from), &to = input.wiring.service(reference.to);
            // Where the name is answered: the service's own name on all of its networks, an alias on its own only.
            const compose::Network* first = nullptr;
            int shared = 0;
            for (const auto& use : to.networks) {
              const bool named = reference.host == to.name || reference.host == to.container_name.value || std::ranges::any_of(use.aliases, [&](const auto& alias) { return alias.value == reference.host; });
              const auto network = std::ranges::find(project.networks, use.network, &compose::Network::key);
              if (!named || network == project.networks.end() || std::ranges::find(from.networks, use.network, &compose::NetworkUse::network) == from.networks.end()) continue;
              ++shared;
              if (first == nullptr || std::pair(network->internal, network->name) < std::pair(first->internal, first->name)) first = &*network;
            }
            if (first == nullptr || !mute(*first)) continue;
            report.add(reference.where, reference.from, fmt::format("'{}' calls '{}' ({}) by the network {}, which lets no container reach another", from.name, reference.host, reference.key, first->key),
                       shared == 1 ? fmt::format("{} is the only network that both are on, and it has enable_icc=false", first->key)
                                   : fmt::format("the name is answered on {} first, and it has enable_icc=false", first->key));
          }
        },
};

}  // namespace dm::audit::rules

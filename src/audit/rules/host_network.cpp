#include "audit/rules/helpers.hpp"
#include "product/product.hpp"

namespace dm::audit::rules {
namespace {

/// Media relays use thousands of ports, agents count what passes the host's own interfaces.
bool needs_host_network(const compose::Service& service) {
  const auto repository = product::split_image(service.image.value).repository;
  return repository == "coturn/coturn" || repository == "livekit/livekit-server" || repository.ends_with("processone/eturnal") || watches_host(service);
}

}  // namespace

extern constinit const Rule host_network{
    .id = "DM0617",
    .name = "host-network",
    .severity = Severity::high,
    .area = Area::security,
    .summary =
        "service shares the network of the host",
    .rationale =
        "The service sees every local port of the machine, other admin interfaces included, and no "
        "network separates it.",
    .fix =
        "Use a network of the project and publish the ports that are needed.",
    .checks = "17",
    .bad = R"(services:
  app:
    image: example/app:1.0
    network_mode: host  # <- DM0617
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    labels: {network_mode: "host"}
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          shares_with_host(input, report, "network_mode", [](const compose::Service& service, Finding& finding) {
            if (!needs_host_network(service)) return;
            finding.severity = Severity::medium;
            finding.hint = "Its own documentation advises it: keep it, and keep what else listens on the host behind a firewall.";
          });
        },
};

}  // namespace dm::audit::rules

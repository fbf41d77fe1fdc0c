#include "audit/rules/helpers.hpp"
#include "product/product.hpp"

namespace dm::audit::rules {
namespace {

/// Media relays use thousands of ports, agents count what passes the host's own interfaces.
bool needs_host_network(const compose::Service& service) {
  const auto repository = product::split_image(service.image.value).repository;
  return repository == "coturn/coturn" || repository == "livekit/livekit-server" || repository.ends_with("processone/eturnal") || watches_host(service);
}

/// A catcher of test mails that listens to this machine only: every address that it is given begins with 127.
bool mail_catcher_at_home(const compose::Service& service) {
  const auto repository = product::split_image(service.image.value).repository;
  if (!repository.ends_with("axllent/mailpit") && !repository.ends_with("mailhog/mailhog")) return false;
  const auto at_home = [&](std::string_view name) {
    const auto* variable = service.env(name);
    return variable != nullptr && (variable->value.value.starts_with("127.") || variable->value.value.starts_with("localhost:"));
  };
  if (repository.ends_with("mailpit")) return at_home("MP_UI_BIND_ADDR") && at_home("MP_SMTP_BIND_ADDR");
  return at_home("MH_UI_BIND_ADDR") && at_home("MH_API_BIND_ADDR") && at_home("MH_SMTP_BIND_ADDR");
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
            if (mail_catcher_at_home(service)) {
              finding.severity = Severity::low;
              finding.evidence = "it listens on 127.0.0.1 only, for mails of tests";
              return;
            }
            if (!needs_host_network(service)) return;
            finding.severity = Severity::medium;
            finding.hint = "Its own documentation advises it: keep it, and keep what else listens on the host behind a firewall.";
          });
        },
};

}  // namespace dm::audit::rules

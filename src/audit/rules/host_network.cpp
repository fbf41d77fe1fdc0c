#include "audit/rules/helpers.hpp"
#include "product/product.hpp"

namespace dm::audit::rules {
namespace {

/// Media relays use thousands of ports, agents count what passes the host's own interfaces, home automation finds its devices by
/// broadcasts (https://www.home-assistant.io/installation/linux#docker-compose), Fail2ban writes the host's firewall
/// (https://github.com/crazy-max/docker-fail2ban).
bool needs_host_network(const compose::Service& service) {
  const auto repository = product::split_image(service.image.value).repository;
  return repository.ends_with("/coturn") || repository == "livekit/livekit-server" || repository.ends_with("processone/eturnal") || repository.ends_with("home-assistant/home-assistant") ||
         repository.ends_with("homeassistant/home-assistant") || repository.ends_with("/fail2ban") || watches_host(service);
}

/// A catcher of test mails that listens to this machine only: every address that it is given begins with 127.
bool mail_catcher_at_home(const compose::Service& service) {
  const auto repository = product::split_image(service.image.value).repository;
  if (!repository.ends_with("axllent/mailpit") && !repository.ends_with("mailhog/mailhog")) return false;
  const auto loopback = [](std::string_view address) { return address.starts_with("127.") || address.starts_with("localhost:"); };
  const auto at_home = [&](std::string_view variable, std::string_view option) {
    if (const auto* found = service.env(variable); found != nullptr) return loopback(found->value.value);
    for (std::size_t i = 0; i + 1 < service.command.size(); ++i)
      if (service.command[i].value == option) return loopback(service.command[i + 1].value);
    return false;
  };
  if (repository.ends_with("mailpit")) return at_home("MP_UI_BIND_ADDR", "--listen") && at_home("MP_SMTP_BIND_ADDR", "--smtp");
  return at_home("MH_UI_BIND_ADDR", "-ui-bind-addr") && at_home("MH_API_BIND_ADDR", "-api-bind-addr") && at_home("MH_SMTP_BIND_ADDR", "-smtp-bind-addr");
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
            if (!service.ports.empty()) finding.evidence = "its `ports:` do nothing: the engine discards them, and what the service listens on is open as it is";
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

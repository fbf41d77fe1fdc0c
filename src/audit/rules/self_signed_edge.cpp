#include <fmt/format.h>

#include <algorithm>

#include "audit/caddyfiles.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// A name that people outside may ask for: it has a domain, and not one that is local by definition.
bool public_name(std::string_view address) {
  if (address.starts_with("http://")) return false;
  if (address.starts_with("https://")) address.remove_prefix(8);
  const auto host = address.substr(0, address.find_first_of("/:", address.starts_with('{') ? address.find('}') : 0));
  if (host.empty() || host.find('.') == std::string_view::npos) return false;
  if (host.find_first_not_of("0123456789.") == std::string_view::npos) return false;
  for (const std::string_view local : {".localhost", ".local", ".internal", ".home.arpa", ".test", ".lan", ".home", ".example", ".invalid", ".docker"})
    if (host.ends_with(local)) return false;
  return true;
}

}  // namespace

extern constinit const Rule self_signed_edge{
    .id = "DM0913",
    .name = "self-signed-edge",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "public names are served with certificates that nobody trusts",
    .rationale = "Browsers warn, and people learn to click the warning away; mobile apps, federation, webhooks and "
                 "single sign-on between services refuse the connection altogether.",
    .fix = "Take `local_certs` and `tls internal` out and give an address for ACME (`email` in the global block, "
           "or `tls NAME@DOMAIN`); keep the internal CA for tests and for names that are only local.",
    .checks = "135 O19",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
-- Caddyfile
{
	local_certs  # <- DM0913
}
wiki.example.org {
	reverse_proxy wiki:80
}
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
-- Caddyfile
{
	email admin@example.org
}
wiki.example.org {
	reverse_proxy wiki:80
}
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
-- Caddyfile
wiki.home.arpa {
	tls internal
	reverse_proxy wiki:80
}
nas.local, localhost:8443 {
	tls internal
	reverse_proxy nas:80
}
http://wiki.example.org {
	tls internal
	reverse_proxy wiki:80
}
)",
    .minutes = 20,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& file : caddyfiles(input)) {
            std::string names;
            std::size_t count = 0;
            for (const auto& site : file.parsed.sites)
              for (const auto& address : site.addresses)
                if (!site.named_route && public_name(address.text) && ++count <= 6) names += fmt::format("{}{}", names.empty() ? "" : ", ", address.text);
            if (count == 0) continue;
            bool all = false;
            for (const auto& option : file.parsed.options) {
              if (option.name.text != "local_certs") continue;
              all = true;
              report.add({file.file, option.name.where}, file.service, fmt::format("'{}' signs the certificates of public names itself: {}", input.wiring.service(file.service).name, names));
            }
            if (all) continue;
            for (const auto& site : file.parsed.sites) {
              const auto name = std::ranges::find_if(site.addresses, [](const auto& address) { return public_name(address.text); });
              if (name == site.addresses.end()) continue;
              each_directive(site.directives, [&](const auto& one) {
                if (one.name.text == "tls" && one.arguments.size() == 1 && one.arguments[0].text == "internal")
                  report.add({file.file, one.name.where}, file.service,
                             fmt::format("'{}' signs the certificate of {} itself", input.wiring.service(file.service).name, name->text));
              });
            }
          }
        },
};

}  // namespace dm::audit::rules

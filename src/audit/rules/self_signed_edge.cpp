#include <fmt/format.h>

#include <algorithm>

#include "audit/caddyfiles.hpp"
#include "audit/rules/helpers.hpp"
#include "formats/settings.hpp"

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

/// Let's Encrypt's place for trials: https://letsencrypt.org/docs/staging-environment/
bool for_trials(std::string_view text) { return text.find("acme-staging") != std::string_view::npos; }

void say_trial(const Input& input, Report& report, Location where, ServiceId id) {
  report.add(where, id, fmt::format("'{}' gets its certificates from Let's Encrypt's staging CA, which no browser trusts", input.wiring.service(id).name), "it is for trials of the set-up",
             "take the line out when the set-up works; certificates that it made must go, too (Traefik: empty acme.json)");
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
  router:
    image: traefik:v3.3
    command:
      - --certificatesresolvers.le.acme.email=admin@example.org
      - --certificatesresolvers.le.acme.caserver=https://acme-staging-v02.api.letsencrypt.org/directory  # <- DM0913
  other:
    image: caddy:2.8.4
    volumes: ["./other.Caddyfile:/etc/caddy/Caddyfile:ro"]
-- other.Caddyfile
{
	acme_ca https://acme-staging-v02.api.letsencrypt.org/directory  # <- DM0913
}
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
  router:
    image: traefik:v3.3
    command:
      - --certificatesresolvers.le.acme.email=admin@example.org
      # - --certificatesresolvers.le.acme.caserver=https://acme-staging-v02.api.letsencrypt.org/directory
-- Caddyfile
# acme_ca https://acme-staging-v02.api.letsencrypt.org/directory
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
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "traefik") return;
            for (const auto& word : service.command)
              if (for_trials(word.value)) return say_trial(input, report, word.node != nullptr && word.node->where ? word.where() : place(service, "command"), id);
            for (const auto& variable : service.environment)
              if (variable.name.starts_with("TRAEFIK_") && for_trials(variable.value.value)) return say_trial(input, report, variable.where, id);
            for (const auto& config : config_files_of(input, id)) {
              if (config.file == sources::kNoFile) continue;
              const auto& text = input.project.texts.at(config.file).content;
              if (!for_trials(text)) continue;
              const auto settings = formats::read_settings(formats::detect_format(config.path, text), text);
              if (!settings) continue;
              for (const auto& setting : *settings)
                if (for_trials(setting.value)) return say_trial(input, report, {config.file, setting.value_span}, id);
            }
          });
          for (const auto& file : caddyfiles(input)) {
            for (const auto& option : file.parsed.options)
              if ((option.name.text == "acme_ca" || option.name.text == "cert_issuer") && std::ranges::any_of(option.arguments, [](const auto& word) { return for_trials(word.text); }))
                say_trial(input, report, {file.file, option.name.where}, file.service);
            for (const auto& site : file.parsed.sites)
              each_directive(site.directives, [&](const auto& one) {
                if (one.name.text == "ca" && !one.arguments.empty() && for_trials(one.arguments[0].text)) say_trial(input, report, {file.file, one.name.where}, file.service);
              });
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

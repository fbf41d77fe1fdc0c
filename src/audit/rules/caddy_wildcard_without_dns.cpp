#include <fmt/format.h>

#include <algorithm>

#include "audit/caddyfiles.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// "*.example.org" of a site's address, "" where it is no wildcard that needs a public certificate.
std::string_view wildcard(std::string_view address) {
  if (address.starts_with("http://") || address.ends_with(":80")) return {};
  if (address.starts_with("https://")) address.remove_prefix(8);
  if (!address.starts_with("*.")) return {};
  const auto host = address.substr(0, address.find_first_of(":/"));
  // Caddy signs these itself.
  for (const std::string_view local : {".localhost", ".local", ".internal", ".home.arpa", ".test"})
    if (host.ends_with(local)) return {};
  return host;
}

bool has(const std::vector<formats::CaddyDirective>& directives, std::initializer_list<std::string_view> names) {
  bool found = false;
  each_directive(directives, [&](const auto& one) { found = found ||
      std::ranges::find(names, one.name.text) != names.end(); });
  return found;
}

/// Certificates come from somewhere else than HTTP or TLS-ALPN challenges.
bool provided(const formats::CaddyDirective& directive) {
  if (directive.name.text != "tls") return false;
  const auto& words = directive.arguments;
  if (words.size() >= 2 || (words.size() == 1 && words[0].text.find('@') == std::string::npos &&
      !words[0].text.empty() &&
                            words[0].text[0] != '{'))
    return true;  // `internal`, `force_automate`, or a certificate and its key
  if (has(directive.block, {"dns", "get_certificate", "on_demand", "load"})) return true;
  return std::ranges::any_of(directive.block, [](const auto& one) {
    return one.name.text == "issuer" && !one.arguments.empty() && one.arguments[0].text != "acme";
  });
}

bool provided_for_all(const std::vector<formats::CaddyDirective>& options) {
  return std::ranges::any_of(options, [](const formats::CaddyDirective& option) {
    const auto argument = option.arguments.empty() ? std::string_view() : std::string_view(option.arguments[0].text);
    if (option.name.text == "cert_issuer") return argument != "acme" || has(option.block, {"dns"});
    return option.name.text == "acme_dns" || option.name.text == "local_certs" || option.name.text == "dns" ||
           (option.name.text == "auto_https" && (argument == "off" || argument == "disable_certs"));
  });
}

}  // namespace

extern constinit const Rule caddy_wildcard_without_dns{
    .id = "DM0911",
    .name = "caddy-wildcard-without-dns",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a wildcard site cannot get its certificate",
    .rationale = "Certificate authorities give a wildcard only against a DNS record (DNS-01). Without a DNS "
                 "module Caddy "
                 "tries again and again, and every host below the wildcard fails its TLS handshake.",
    .fix = "Give each host a site of its own, or build an image with the DNS module and write `tls { dns PROVIDER "
           "... }`.",
    .checks = "O19",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    environment: {DOMAIN: example.org, STACK_ADMIN_EMAIL: admin@example.org}
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- Caddyfile
*.{$DOMAIN} {  # <- DM0911
	tls {$STACK_ADMIN_EMAIL}
	reverse_proxy app:8080
}
)",
    .good = R"(services:
  edge:
    build: ./edge
    image: caddy:2.8.4
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- edge/Dockerfile
FROM caddy:2.8.4
-- Caddyfile
*.example.org {
	tls {
		dns cloudflare {env.TOKEN}
	}
	reverse_proxy app:8080
}
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- Caddyfile
*.example.org {
	tls internal
	reverse_proxy app:8080
}
*.example.net {
	tls /certs/site.pem /certs/site.key
}
http://*.example.com {
	reverse_proxy app:8080
}
*.localhost {
	reverse_proxy app:8080
}
)",
    .minutes = 60,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& file : caddyfiles(input)) {
            // Imported files may hold what is missing here.
            if (!file.parsed.imports.empty() || provided_for_all(file.parsed.options)) continue;
            for (const auto& site : file.parsed.sites) {
              if (site.named_route || std::ranges::any_of(site.directives, provided)) continue;
              for (const auto& address : site.addresses) {
                if (wildcard(address.text).empty()) continue;
                report.add({file.file, address.where}, file.service,
                           fmt::format("'{}' serves {}, but nothing can answer a DNS challenge for it",
                                       input.wiring.service(file.service).name, address.text));
              }
            }
          }
        },
};

}  // namespace dm::audit::rules

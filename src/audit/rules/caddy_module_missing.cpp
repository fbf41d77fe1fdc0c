#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/caddyfiles.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Of well-known plugins. What Caddy has itself grows, so this is a list of what it lacks.
bool of_a_plugin(std::string_view name) {
  static constexpr std::string_view kPlugins[] = {
      "acme_dns", "appsec",      "authenticate", "authorize", "cache",    "cgi",        "cloudflare_tunnel",
      "crowdsec", "coraza_waf",  "dynamic_dns",  "exec",      "geoip",    "layer4",     "mercure",
      "realip",   "rate_limit",  "replace",      "s3proxy",   "security", "tailscale",  "webdav"};
  return std::ranges::find(kPlugins, name) != std::end(kPlugins);
}

}  // namespace

extern constinit const Rule caddy_module_missing{
    .id = "DM0910",
    .name = "caddy-module-missing",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "the Caddyfile uses a directive that the stock image lacks",
    .rationale = "One unknown directive, and Caddy refuses its whole configuration: no site is served at all. The "
                 "official "
                 "image has the standard modules only, neither `rate_limit` nor DNS providers.",
    .fix = "Build an image with the module (`xcaddy build --with ...` in the `builder` variant), or take the "
           "directive out.",
    .checks = "O17 O19",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- Caddyfile
(limits) {
	rate_limit {  # <- DM0910
		zone login {
			key {remote_host}
			events 5
			window 1m
		}
	}
}
auth.example.org {
	import limits
	tls {
		dns cloudflare {env.TOKEN}  # <- DM0910
	}
	reverse_proxy auth:9091
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
auth.example.org {
	rate_limit {
		zone login {
			key {remote_host}
			events 5
			window 1m
		}
	}
	reverse_proxy auth:9091
}
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    volumes:
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
-- Caddyfile
# rate_limit needs a module
auth.example.org {
	header X-Note rate_limit
	header {
		cache-control no-store
	}
	reverse_proxy auth:9091 {
		header_up security on
	}
}
)",
    .minutes = 45,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& file : caddyfiles(input)) {
            if (!file.stock) continue;
            std::set<std::uint32_t> told;  // a snippet imported many times is one mistake
            const auto& edge = input.wiring.service(file.service);
            const auto tell = [&](const formats::CaddyToken& token) {
              if (!told.insert(token.where.begin).second) return;
              report.add({file.file, token.where}, file.service,
                         fmt::format("'{}' runs {}, which does not know '{}': Caddy refuses the whole file", edge.name,
                                     edge.image.value, token.text));
            };
            const auto look = [&](const std::vector<formats::CaddyDirective>& directives) {
              for (const auto& directive : directives) {
                if (of_a_plugin(directive.name.text)) tell(directive.name);
                // `order rate_limit before basic_auth` names a directive too.
                if (directive.name.text == "order" && !directive.arguments.empty() &&
                    of_a_plugin(directive.arguments[0].text))
                  tell(directive.arguments[0]);
              }
            };
            look(file.parsed.options);
            for (const auto& site : file.parsed.sites) {
              look(site.directives);
              each_directive(site.directives, [&](const formats::CaddyDirective& directive) {
                const auto name = std::string_view(directive.name.text);
                // Only these hold directives; elsewhere a block has options of its own.
                if (name == "handle" || name == "handle_path" || name == "route" || name == "handle_errors" ||
                    name == "handle_response")
                  look(directive.block);
                if (name != "tls") return;
                each_directive(directive.block, [&](const formats::CaddyDirective& option) {
                  if (option.name.text == "dns") tell(option.name);
                });
              });
            }
          }
        },
};

}  // namespace dm::audit::rules

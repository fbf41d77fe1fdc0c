#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule port_beside_proxy{
    .id = "DM0903",
    .name = "port-beside-proxy",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "a service is open beside the proxy that is meant to stand before it",
    .rationale = "Its own port answers without TLS, and past the sign-in and the limits of the proxy. Docker opens it "
                 "in front of the host firewall.",
    .fix = "Take the port out (the proxy reaches the service over their network), or bind it to 127.0.0.1.",
    .checks = "31 O78",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  wiki:
    image: example/wiki:1
    ports:
      - "6875:80"  # <- DM0903
-- Caddyfile
wiki.example.org {
	reverse_proxy wiki:80
}
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  wiki:
    image: example/wiki:1
    ports:
      - "127.0.0.1:6875:80"
-- Caddyfile
wiki.example.org {
	reverse_proxy wiki:80
}
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  forge:
    image: example/forge:1
    ports: ["2222:22"]
  voice:
    image: example/voice:1
    ports: ["64738:64738/udp"]
-- Caddyfile
forge.example.org {
	reverse_proxy forge:3000
}
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          // By service: the ports that a published proxy or a label calls, and the proxy.
          std::map<ServiceId, std::pair<std::vector<std::uint16_t>, std::string_view>> routed;
          for (const auto& reference : input.wiring.references) {
            if (!reference.port) continue;
            if (reference.via == wiring::Reference::Via::label) routed[reference.from].first.push_back(*reference.port);  // Traefik is told by the service itself
            if (reference.via != wiring::Reference::Via::proxy_route || reference.to == wiring::kNone || reference.to == reference.from) continue;
            const auto& from = input.wiring.service(reference.from);
            if (std::ranges::none_of(from.ports, [](const auto& port) { return every_interface(port) && (port.published == "443" || port.published == "80"); })) continue;
            auto& entry = routed[reference.to];
            entry.first.push_back(*reference.port);
            entry.second = from.name;
          }
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto found = routed.find(id);
            if (found == routed.end()) return;
            const auto& [targets, proxy] = found->second;
            OpenPorts open;
            for (const auto& port : service.ports) {
              if (!every_interface(port) || port.protocol == "udp" || std::ranges::find(targets, port.target) == targets.end()) continue;
              if (port.published == "80" || port.published == "443") continue;  // it is an edge itself
              open.add(port, "of the engine's choice");
            }
            if (open.where.empty()) return;
            report.add_all(std::move(open.where), {id}, fmt::format("'{}' is open at port {} beside the proxy that routes to it", service.name, open.list),
                           proxy.empty() ? "a label routes to the same port" : fmt::format("'{}' routes to the same port", proxy));
          });
        },
};

}  // namespace dm::audit::rules

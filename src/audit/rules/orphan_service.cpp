#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule orphan_service{
    .id = "DM0208",
    .name = "orphan-service",
    .severity = Severity::low,
    .area = Area::architecture,
    .summary = "an application that nobody can reach",
    .rationale = "It publishes no port, no proxy route leads to it and no other service names it: it uses memory, "
                 "needs updates, and serves nobody. Often a route was removed or renamed and the service stayed.",
    .fix = "Route it, publish it, or remove it (or put it into a profile).",
    .checks = "133",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  wiki:
    image: lscr.io/linuxserver/bookstack:24.05.2
  dashboard:  # <- DM0208
    image: grafana/grafana:11.1.0
-- Caddyfile
wiki.example.org {
	reverse_proxy wiki:80
}
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  wiki:
    image: lscr.io/linuxserver/bookstack:24.05.2
  dashboard:
    image: grafana/grafana:11.1.0
-- Caddyfile
wiki.example.org {
	reverse_proxy wiki:80
}
stats.example.org {
	reverse_proxy dashboard:3000
}
)",
    .look_alike = R"(services:
  edge:
    image: traefik:3.1
    ports: ["443:443"]
  wiki:
    image: lscr.io/linuxserver/bookstack:24.05.2
    labels: ["traefik.enable=true"]
  worker:
    image: example/worker:1
  dashboard:
    image: grafana/grafana:11.1.0
    networks: [proxy]
networks: {proxy: {external: true}}
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          // Without a proxy whose routes can be read here, another project may route to it.
          bool routed = false;
          std::set<ServiceId> named;
          for (const auto& reference : input.wiring.references) {
            if (reference.via == wiring::Reference::Via::proxy_route) routed = true;
            if (reference.to != wiring::kNone && reference.to != reference.from && reference.via != wiring::Reference::Via::depends_on) named.insert(reference.to);
          }
          for (const auto& service : input.project.services)
            for (const auto& [key, value] : service.labels) routed = routed || key == "traefik.enable" || key.starts_with("caddy");
          if (!routed) return;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || (product->kind != "application" && product->kind != "admin") || named.contains(id) || input.wiring.one_shot[id]) return;
            const bool serves = std::ranges::any_of(product->ports, [](const auto& port) { return port.purpose == "http" || port.purpose == "https"; });
            if (!serves || !service.ports.empty() || service.network_mode || !service.profiles.empty()) return;
            for (const auto& [key, value] : service.labels)
              if (key.starts_with("traefik.") || key.starts_with("caddy") || key.find("virtual") != std::string_view::npos) return;
            if (service.env("VIRTUAL_HOST") != nullptr) return;
            for (const auto& use : service.networks)
              if (const auto* network = input.project.network(use.network); network == nullptr || network->external) return;
            report.add(service.where, id, fmt::format("no port, route or other service leads to '{}'", service.name), fmt::format("{} serves HTTP", product->name));
          });
        },
};

}  // namespace dm::audit::rules

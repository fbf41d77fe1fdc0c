#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/by_line.hpp"

namespace dm::audit::rules {
namespace {

/// The name stands in `extra_hosts` ("name:address" or "name=address") of the service, or of the one whose network it uses.
bool listed(const Input& input, const compose::Service& service, std::string_view host) {
  const auto* owner = &service;
  constexpr std::string_view kOf = "service:";
  if (service.network_mode.value.starts_with(kOf))
    if (const auto* other = input.project.service(service.network_mode.value.substr(kOf.size())); other != nullptr) owner = other;
  return std::ranges::any_of(owner->extra_hosts, [&](const compose::Text& item) {
    return item.value.starts_with(host) && item.value.size() > host.size() && (item.value[host.size()] == ':' || item.value[host.size()] == '=');
  });
}

}  // namespace

extern constinit const Rule engine_host_name{
    .id = "DM0209",
    .name = "engine-host-name",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "host.docker.internal, which an engine on Linux does not know",
    .rationale = "Docker Desktop answers this name by itself. An engine on Linux does not: the lookup fails, and what worked on the laptop "
                 "breaks on the server.",
    .fix = "Add `extra_hosts: [\"host.docker.internal:host-gateway\"]` to the service; it does no harm on Docker Desktop.",
    .checks = "107",
    .bad = R"(services:
  web:
    image: example/web:1
    environment:
      API_URL: http://host.docker.internal:5001  # <- DM0209
  one:
    image: example/one:1
    env_file: shared.env
  two:
    image: example/two:1
    env_file: shared.env
  proxy:
    image: caddy:2
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
-- shared.env
JOBS_URL=http://host.docker.internal:5002  # <- DM0209
-- Caddyfile
app.example.org {
  reverse_proxy host.docker.internal:3000  # <- DM0209
}
)",
    .good = R"(services:
  web:
    image: example/web:1
    extra_hosts: ["host.docker.internal:host-gateway"]
    environment:
      API_URL: http://host.docker.internal:5001
)",
    .look_alike = R"(services:
  vpn:
    image: example/vpn:1
    extra_hosts: ["host.docker.internal=host-gateway"]
  web:
    image: example/web:1
    network_mode: service:vpn
    environment:
      API_URL: http://host.docker.internal:5001
  gate:
    image: example/gate:1
    networks: {default: {aliases: [host.docker.internal]}}
  other:
    image: example/other:1
    environment:
      NO_PROXY: localhost,host.docker.internal
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          const auto unknown = [&](const wiring::Reference& reference) {
            if (!reference.firm || !reference.host.ends_with(".docker.internal")) return false;
            if (listed(input, input.wiring.service(reference.from), reference.host)) return false;
            return std::ranges::none_of(input.wiring.names, [&](const auto& name) { return name.name == reference.host; });
          };
          for (auto& [reference, services] : by_line(input, unknown)) {
            auto message = fmt::format("{} told to use {} ({}), which an engine on Linux does not know", they_are(input, services), reference->host, reference->key);
            report.add_all({reference->where}, std::move(services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

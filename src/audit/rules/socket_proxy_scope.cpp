#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule socket_proxy_scope{
    .id = "DM0629",
    .name = "socket-proxy-scope",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a socket proxy lets its whole network manage containers",
    .rationale = "With POST and CONTAINERS allowed, whoever reaches the proxy can start a privileged container: "
                 "it hands out root as the socket itself does, to every service of its networks.",
    .fix = "Keep `POST: 0`; for a program that must manage containers run a second proxy on a network that "
           "only the two share.",
    .checks = "132",
    .bad = R"(services:
  proxy:
    image: tecnativa/docker-socket-proxy:0.3.0
    environment:
      CONTAINERS: 1
      POST: 1  # <- DM0629
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
  manager: {image: "example/manager:1"}
  web: {image: "example/web:1"}
)",
    .good = R"(services:
  proxy:
    image: tecnativa/docker-socket-proxy:0.3.0
    environment: {CONTAINERS: 1}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
  manager: {image: "example/manager:1"}
  web: {image: "example/web:1"}
)",
    .look_alike = R"(services:
  proxy:
    image: tecnativa/docker-socket-proxy:0.3.0
    environment: {CONTAINERS: 1, POST: 1}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
    networks: [managers]
  manager: {image: "example/manager:1", networks: [managers]}
  web: {image: "example/web:1"}
networks: {managers: {internal: true}}
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto repository = product::split_image(service.image.value).repository;
            if (!repository.ends_with("socket-proxy")) return;
            const auto on = [&](std::string_view name) {
              const auto* variable = service.env(name);
              return variable != nullptr && (variable->value.value == "1" || variable->value.value == "true");
            };
            if (!on("POST") || !(on("CONTAINERS") || on("EXEC") || on("IMAGES") || on("SERVICES"))) return;
            std::vector<ServiceId> others;
            for (ServiceId other = 0; other < input.project.services.size(); ++other)
              if (other != id && input.wiring.reachable(other, id)) others.push_back(other);
            const bool published = std::ranges::any_of(service.ports, [](const auto& port) { return port.host_ip != "127.0.0.1"; });
            if (others.size() < 2 && !published) return;
            report.add(service.env("POST")->value.where(), id,
                       published ? fmt::format("'{}' lets anybody who reaches the host manage its containers", service.name)
                                 : fmt::format("'{}' lets {} services manage containers: {}", service.name, others.size(), join_names(input, others)));
          });
        },
};

}  // namespace dm::audit::rules

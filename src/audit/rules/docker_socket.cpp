#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule docker_socket{
    .id = "DM0624",
    .name = "docker-socket",
    .severity = Severity::critical,
    .area = Area::security,
    .summary = "the engine socket is mounted into a service",
    .rationale = "Whoever controls the service controls the engine, and with it the host. `:ro` protects the file, "
                 "not the engine: requests go through all the same.",
    .fix = "Put a socket proxy with only the needed requests between them.",
    .checks = "24 O8",
    .bad = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock:ro  # <- DM0624
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment: {DOCKER_HOST: "tcp://proxy:2375"}
  proxy:
    image: tecnativa/docker-socket-proxy:0.3.0
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock:ro
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - ./docker.sock.md:/docs/docker.sock.md
-- docker.sock.md
about the socket
)",
    .minutes = 30,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            const bool proxy = product != nullptr && product->kind == "socket-proxy";
            for (const auto& mount : service.mounts) {
              const auto name = sources::file_name(mount.source);
              if (proxy || mount.type != compose::Mount::Type::bind || (name != "docker.sock" && name != "podman.sock" && name != "containerd.sock")) continue;
              auto& finding = report.add(mount.where, id, fmt::format("'{}' has the engine socket: whoever controls it controls the host", service.name));
              if (product != nullptr && product->kind == "admin")
                finding.hint = "its work is to manage containers: give it a socket proxy with POST on a network that only the two share, and publish it nowhere but behind a sign-in";
              else if (watches_host(service))
                finding.hint = "it only reads: a socket proxy with CONTAINERS=1 (and INFO, EVENTS) and POST=0 will do";
              else if (product != nullptr && product->kind == "proxy")
                finding.hint = "it reads labels: a socket proxy with CONTAINERS=1 and POST=0 will do";
            }
          });
        },
};

}  // namespace dm::audit::rules

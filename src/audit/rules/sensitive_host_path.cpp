#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule sensitive_host_path{
    .id = "DM0625",
    .name = "sensitive-host-path",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "a folder of the host that holds secrets is mounted",
    .rationale = "Read-only is enough to take what lies there: password hashes, keys of the host and of people, "
                 "the data of "
                 "every other container. A socket in `/run` answers through a read-only mount too.",
    .fix = "Mount the one file or folder that the service needs.",
    .checks = "25 O8",
    .bad = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /etc:/host/etc:ro  # <- DM0625
      - /root/.ssh:/ssh:ro  # <- DM0625
      - /var/lib/docker:/engine:ro  # <- DM0625
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /etc/timezone:/etc/timezone:ro
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /home/media/films:/films:ro
      - ./etc:/etc/app:ro
  watch:
    image: prom/node-exporter:v1.8.2
    volumes:
      - /:/host:ro,rslave
  backup:
    image: offen/docker-volume-backup:v2.43.0
    volumes:
      - /home:/backup/home:ro
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          // Writable mounts of most of these are root_host_path's.
          static constexpr std::string_view kRead[] = {"/", "/etc", "/root", "/var/lib/docker",
                                                      "/run", "/var/run", "/var"};
          static constexpr std::string_view kAny[] = {"/etc/shadow", "/etc/ssh", "/etc/sudoers", "/root/.ssh", "/home"};
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (watches_host(service) || (product != nullptr && product->kind == "backup")) return;
            for (const auto& mount : service.mounts) {
              if (mount.type != compose::Mount::Type::bind) continue;
              const bool keys = mount.source.starts_with("/home/") && mount.source.ends_with("/.ssh");
              const bool hit = keys || std::ranges::find(kAny, mount.source) != std::end(kAny) ||
                               (mount.read_only && std::ranges::find(kRead, mount.source) != std::end(kRead));
              if (!hit) continue;
              const std::string_view can = mount.read_only ? "can read" : "may write";
              report.add(mount.where, id, fmt::format("'{}' {} {} of the host", service.name, can, mount.source));
            }
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule root_host_path{
    .id = "DM0626",
    .name = "root-host-path",
    .severity = Severity::critical,
    .area = Area::security,
    .summary =
        "a host path that equals root is mounted writable",
    .rationale =
        "Writing there changes what the host runs as root: users, scheduled jobs, libraries.",
    .fix =
        "Mount the one folder that the service needs, read-only where that is enough.",
    .checks = "26 O8",
    .bad = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /etc:/host/etc  # <- DM0626
      - /:/host  # <- DM0626
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /etc/localtime:/etc/localtime:ro
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /:/rootfs:ro
      - /:/host:ro,rslave
      - {type: bind, source: /sys, target: /host/sys, read_only: true}
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          static constexpr std::string_view kPaths[] = {"/", "/etc", "/root", "/boot", "/usr", "/lib", "/var", "/proc", "/sys",
                                                        "/var/lib/docker", "/etc/cron.d", "/etc/ld.so.preload", "/var/run", "/run"};
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            for (const auto& mount : services[id].mounts) {
              if (mount.type != compose::Mount::Type::bind || mount.read_only) continue;
              for (const auto path : kPaths) {
                if (mount.source != path) continue;
                auto& finding = report.add(mount.where, id, fmt::format("service '{}' may write {} of the host", services[id].name, path));
                // A monitoring agent asks for these to read them; what is wrong is the missing `:ro`.
                if (watches_host(services[id])) {
                  finding.severity = Severity::medium;
                  finding.hint = "A monitoring agent only reads the host: add `:ro`.";
                }
              }
            }
          }
        },
};

}  // namespace dm::audit::rules

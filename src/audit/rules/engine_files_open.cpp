#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule engine_files_open{
    .rule = {
        .id = "DM1114",
        .name = "engine-files-open",
        .severity = Severity::high,
        .area = Area::security,
        .summary = "files of the engine that others may write",
        .rationale = "The socket, the settings and the units decide what runs as root: who may write them is root.",
        .fix = "`chown root:root` and `chmod 644` (settings and units), `chown root:docker` and `chmod 660` (socket).",
        .checks = "98",
        .bad = R"(name: shop  # <- DM1114
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "files": [{"path": "/var/run/docker.sock", "mode": 438, "owner": "root", "group": "docker", "socket": true}]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "files": [{"path": "/var/run/docker.sock", "mode": 432, "owner": "root", "group": "docker", "socket": true}]}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "files": [{"path": "/etc/docker/daemon.json", "mode": 416, "owner": "root", "group": "root"}]}}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.rootless) return;  // its owner is meant to
            for (const auto& file : facts.host.files) {
              const auto why = (file.mode & 002) != 0                                        ? std::string("everybody may write it")
                               : file.owner != "root" && file.owner != "0"                   ? fmt::format("it belongs to {}", file.owner)
                               : (file.mode & 020) != 0 && !file.socket && file.group != "root" ? fmt::format("the group {} may write it", file.group)
                                                                                             : std::string();
              if (why.empty()) continue;
              auto& finding = report.add(project_place(input), wiring::kNone, fmt::format("{}: {}", file.path, why), fmt::format("{:04o} {}:{}", file.mode, file.owner, file.group));
              if (file.socket && (file.mode & 002) != 0) finding.severity = Severity::critical;
            }
          });
        },
};

}  // namespace dm::audit::rules

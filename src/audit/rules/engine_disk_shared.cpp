#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule engine_disk_shared{
    .rule = {
        .id = "DM1111",
        .name = "engine-disk-shared",
        .severity = Severity::info,
        .area = Area::operations,
        .summary = "the engine shares its disk with the system",
        .rationale = "Images, logs and volumes that grow fill the root file system; then nobody can log in to mend it.",
        .fix = "Put the engine's folder on a file system of its own.",
        .checks = "81",
        .bad = R"(name: shop  # <- DM1111
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"root_dir": "/var/lib/docker"}, "host": {"seen": true, "disks": [{"path": "/var/lib/docker", "mount": "/", "total": 1, "free": 1}]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"root_dir": "/var/lib/docker"}, "host": {"seen": true, "disks": [{"path": "/var/lib/docker", "mount": "/var/lib/docker", "total": 1, "free": 1}]}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"root_dir": "/srv/docker"}, "host": {"seen": true, "disks": [{"path": "/srv/docker", "mount": "/srv", "total": 1, "free": 1}, {"path": "/etc/app", "mount": "/", "total": 1, "free": 1}]}}
)",
        .minutes = 120,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (std::ranges::any_of(facts.host.disks, [&](const facts::Disk& disk) { return disk.path == facts.engine.root_dir && disk.mount == "/"; })) report.add(project_place(input), wiring::kNone, fmt::format("{} is on the root file system", facts.engine.root_dir), "");
          });
        },
};

}  // namespace dm::audit::rules

#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule disk_low{
    .rule = {
        .id = "DM1013",
        .name = "disk-low",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "too little disk where the engine or volumes live",
        .rationale = "A full disk stops every database at once and breaks what was being written. 50 GB free is what a stack of this kind needs for images, dumps and growth.",
        .fix = "Free some: `docker image prune`, old logs, old dumps; or move the engine's folder to a larger disk.",
        .checks = "O33",
        .bad = R"(name: shop  # <- DM1013
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "disks": [{"path": "/var/lib/docker", "mount": "/", "total": 536870912000, "free": 21474836480}]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "disks": [{"path": "/var/lib/docker", "mount": "/", "total": 536870912000, "free": 107374182400, "inodes": 1000, "inodes_free": 900}]}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "disks": [{"path": "/var/lib/docker", "mount": "/", "total": 536870912000, "free": 64424509440, "inodes": 0, "inodes_free": 0}]}}
)",
        .minutes = 30,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            for (const auto& disk : facts.host.disks) {
              const bool full = disk.free < 5LL << 30 || disk.free * 10 < disk.total;
              const bool inodes = disk.inodes > 0 && disk.inodes_free * 10 < disk.inodes;
              if (disk.free >= 50LL << 30 && !full && !inodes) continue;
              auto& finding = report.add(project_place(input), wiring::kNone,
                                         inodes ? fmt::format("the disk of {} runs out of inodes", disk.path) : fmt::format("the disk of {} has {} free", disk.path, bytes(disk.free)),
                                         fmt::format("mounted at {}: {} of {} free{}", disk.mount, bytes(disk.free), bytes(disk.total),
                                                     disk.inodes > 0 ? fmt::format(", {} of {} inodes", disk.inodes_free, disk.inodes) : ""));
              if (!full && !inodes) finding.severity = Severity::medium;
            }
          });
        },
};

}  // namespace dm::audit::rules

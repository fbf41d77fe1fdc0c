#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule storage_driver_obsolete{
    .rule = {
        .id = "DM1118",
        .name = "storage-driver-obsolete",
        .severity = Severity::medium,
        .area = Area::operations,
        .summary = "a storage driver that engines no longer support",
        .rationale = "aufs, devicemapper and overlay (the first) are removed from current engines: the next update starts without any image or container.",
        .fix = "Move to overlay2: back up the volumes, change `storage-driver`, pull the images again.",
        .checks = "88 92",
        .bad = R"(name: shop  # <- DM1118
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"storage_driver": "devicemapper"}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"storage_driver": "overlay2"}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"storage_driver": "overlayfs"}}
)",
        .minutes = 120,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.storage_driver == "aufs" || facts.engine.storage_driver == "devicemapper" || facts.engine.storage_driver == "overlay") report.add(project_place(input), wiring::kNone, fmt::format("storage driver {}", facts.engine.storage_driver), "");
          });
        },
};

}  // namespace dm::audit::rules

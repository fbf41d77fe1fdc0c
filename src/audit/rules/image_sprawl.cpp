#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule image_sprawl{
    .rule = {
        .id = "DM1117",
        .name = "image-sprawl",
        .severity = Severity::info,
        .area = Area::operations,
        .summary = "images that no container uses",
        .rationale = "They take disk that databases will want, and old versions with holes stay at hand.",
        .fix = "Look at `docker system df`, then `docker image prune -a`.",
        .checks = "103",
        .bad = R"(name: shop  # <- DM1117
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"unused_images": 40, "unused_image_bytes": 32212254720}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"unused_images": 3, "unused_image_bytes": 1073741824}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"unused_images": 15, "unused_image_bytes": 1073741824}}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.unused_image_bytes > 10LL << 30 || facts.engine.unused_images > 25) report.add(project_place(input), wiring::kNone, fmt::format("{} images that no container uses", facts.engine.unused_images), fmt::format("{} that no other image shares", bytes(facts.engine.unused_image_bytes)));
          });
        },
};

}  // namespace dm::audit::rules

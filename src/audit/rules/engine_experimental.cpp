#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule engine_experimental{
    .rule = {
        .id = "DM1109",
        .name = "engine-experimental",
        .severity = Severity::info,
        .area = Area::operations,
        .summary = "the engine has experimental features on",
        .rationale = "Experimental features change between versions without notice.",
        .fix = "Remove `\"experimental\": true` from /etc/docker/daemon.json.",
        .checks = "97",
        .bad = R"(name: shop  # <- DM1109
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"experimental": true}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Podman"}}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.experimental) report.add(project_place(input), wiring::kNone, "the engine runs with experimental features", "");
          });
        },
};

}  // namespace dm::audit::rules

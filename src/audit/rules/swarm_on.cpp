#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule swarm_on{
    .rule = {
        .id = "DM1116",
        .name = "swarm-on",
        .severity = Severity::info,
        .area = Area::security,
        .summary = "the engine is part of a swarm",
        .rationale = "Swarm opens ports 2377, 7946 and 4789 to its peers. A stack of Compose needs none of it.",
        .fix = "If no stack uses it: `docker swarm leave --force`.",
        .checks = "99",
        .bad = R"(name: shop  # <- DM1116
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"swarm": true}}
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
{"datamancy_facts": 1, "engine": {"live_restore": false}}
)",
        .minutes = 10,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.swarm) report.add(project_place(input), wiring::kNone, "the engine is in swarm mode", "");
          });
        },
};

}  // namespace dm::audit::rules

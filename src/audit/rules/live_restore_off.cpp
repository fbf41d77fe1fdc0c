#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule live_restore_off{
    .rule = {
        .id = "DM1102",
        .name = "live-restore-off",
        .severity = Severity::low,
        .area = Area::operations,
        .summary = "a restart of the engine stops every container",
        .rationale = "Without `live-restore` an update of the engine takes the whole stack down, and it comes up all at once, in no order.",
        .fix = "Put `\"live-restore\": true` into /etc/docker/daemon.json and reload the engine (`systemctl reload docker`).",
        .checks = "94",
        .bad = R"(name: shop  # <- DM1102
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "live_restore": false}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "live_restore": true}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "swarm": true}}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.product == "Docker" && !facts.engine.live_restore && !facts.engine.swarm) report.add(project_place(input), wiring::kNone, "live-restore is off: restarting the engine stops all containers", "");
          });
        },
};

}  // namespace dm::audit::rules

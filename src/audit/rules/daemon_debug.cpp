#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule daemon_debug{
    .rule = {
        .id = "DM1110",
        .name = "daemon-debug",
        .severity = Severity::low,
        .area = Area::operations,
        .summary = "the engine logs for debugging",
        .rationale = "It writes each request, with details that do not belong into logs, and much of it.",
        .fix = "Remove `\"debug\": true` and `\"log-level\": \"debug\"` from /etc/docker/daemon.json.",
        .checks = "70",
        .bad = R"(name: shop  # <- DM1110
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "debug": true}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "log_level": "info"}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "debug": false, "log_level": "warn"}}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.daemon.debug.value_or(false) || facts.daemon.log_level == "debug") report.add(project_place(input), wiring::kNone, "the engine runs in debug mode", "");
          });
        },
};

}  // namespace dm::audit::rules

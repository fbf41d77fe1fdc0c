#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule iptables_off{
    .rule = {
        .id = "DM1107",
        .name = "iptables-off",
        .severity = Severity::high,
        .area = Area::security,
        .summary = "the engine does not manage the firewall",
        .rationale = "With `iptables: false` networks are not separated: `internal` and network membership keep nobody out, and published ports depend on rules by hand.",
        .fix = "Remove `\"iptables\": false`; if another firewall must rule, put its rules into the DOCKER-USER chain.",
        .checks = "86",
        .bad = R"(name: shop  # <- DM1107
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "iptables": false}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "iptables": true}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true}}
)",
        .minutes = 30,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (!facts.daemon.iptables.value_or(true)) report.add(project_place(input), wiring::kNone, "the engine runs with iptables off", "");
          });
        },
};

}  // namespace dm::audit::rules

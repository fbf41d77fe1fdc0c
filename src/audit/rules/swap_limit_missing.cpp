#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule swap_limit_missing{
    .rule = {
        .id = "DM1119",
        .name = "swap-limit-missing",
        .severity = Severity::low,
        .area = Area::operations,
        .summary = "the kernel does not limit swap by container",
        .rationale = "A container at its memory limit goes on into swap and slows the whole machine instead of being stopped.",
        .fix = "Debian and Ubuntu with cgroup v1: `cgroup_enable=memory swapaccount=1` on the kernel's command line. cgroup v2 has it.",
        .checks = "54 O36",
        .bad = R"(name: shop  # <- DM1119
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"swap_limit": false}, "host": {"seen": true, "swap": 1073741824}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"swap_limit": true}, "host": {"seen": true, "swap": 1073741824}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"swap_limit": false}, "host": {"seen": true, "swap": 0}}
)",
        .minutes = 15,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (!facts.engine.swap_limit && (!facts.host.seen || facts.host.swap > 0)) report.add(project_place(input), wiring::kNone, "the engine cannot limit swap", "");
          });
        },
};

}  // namespace dm::audit::rules

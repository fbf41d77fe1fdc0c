#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule bridge_icc{
    .rule = {
        .id = "DM1105",
        .name = "bridge-icc",
        .severity = Severity::info,
        .area = Area::security,
        .summary = "containers on the default bridge reach each other",
        .rationale = "The default bridge connects every container that names no network. Compose projects do not use it, `docker run` does.",
        .fix = "Put `\"icc\": false` into /etc/docker/daemon.json.",
        .checks = "37 38",
        .bad = R"(name: shop  # <- DM1105
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"default_bridge_icc": true}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"default_bridge_icc": false}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.default_bridge_icc.value_or(false)) report.add(project_place(input), wiring::kNone, "containers on the default bridge reach each other", "");
          });
        },
};

}  // namespace dm::audit::rules

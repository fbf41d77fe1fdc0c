#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule root_is_root{
    .rule = {
        .id = "DM1104",
        .name = "root-is-root",
        .severity = Severity::info,
        .area = Area::security,
        .summary = "root in a container is root of the machine",
        .rationale = "Neither rootless mode nor user namespaces: what breaks out of a container that runs as root is root outside.",
        .fix = "Consider `\"userns-remap\": \"default\"` for a new installation, or a rootless engine. Both change the owners of volumes: not on a running stack.",
        .checks = "85 90",
        .bad = R"(name: shop  # <- DM1104
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker"}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "userns_remap": true}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "rootless": true}}
)",
        .minutes = 60,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.product == "Docker" && !facts.engine.rootless && !facts.engine.userns_remap) report.add(project_place(input), wiring::kNone, "containers share the user ids of the machine", "");
          });
        },
};

}  // namespace dm::audit::rules

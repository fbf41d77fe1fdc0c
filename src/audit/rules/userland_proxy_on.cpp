#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule userland_proxy_on{
    .rule = {
        .id = "DM1103",
        .name = "userland-proxy-on",
        .severity = Severity::info,
        .area = Area::security,
        .summary = "published ports go through a proxy process of the engine",
        .rationale = "Each published port has a process of its own; through it services see the bridge's address instead of the client's for local connections.",
        .fix = "Put `\"userland-proxy\": false` into /etc/docker/daemon.json where the kernel does hairpin NAT (it nearly always does).",
        .checks = "95",
        .bad = R"(name: shop  # <- DM1103
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "userland_proxy": false}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": false}}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.daemon.seen && facts.daemon.userland_proxy.value_or(true)) report.add(project_place(input), wiring::kNone, "the userland proxy is on", "");
          });
        },
};

}  // namespace dm::audit::rules

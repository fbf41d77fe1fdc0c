#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule docker_group{
    .rule = {
        .id = "DM1112",
        .name = "docker-group",
        .severity = Severity::info,
        .area = Area::security,
        .summary = "users who are root by way of the docker group",
        .rationale = "Whoever may use the engine's socket can start a container that mounts the root folder: membership in the group is root without a password.",
        .fix = "Keep in the group only who may be root; `gpasswd -d USER docker` takes one out.",
        .checks = "82",
        .bad = R"(name: shop  # <- DM1112
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "docker_group": ["eve", "bob"]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "docker_group": []}}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (!facts.host.docker_group.empty()) report.add(project_place(input), wiring::kNone, fmt::format("{} root by way of the group docker", facts.host.docker_group.size() == 1 ? "1 user is" : fmt::format("{} users are", facts.host.docker_group.size())), fmt::format("{}", fmt::join(facts.host.docker_group, ", ")));
          });
        },
};

}  // namespace dm::audit::rules

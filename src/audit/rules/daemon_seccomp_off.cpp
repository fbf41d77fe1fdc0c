#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule daemon_seccomp_off{
    .rule = {
        .id = "DM1108",
        .name = "daemon-seccomp-off",
        .severity = Severity::high,
        .area = Area::security,
        .summary = "the engine runs containers without a system call filter",
        .rationale = "Seccomp keeps containers from some 40 system calls that nobody needs and exploits love.",
        .fix = "Remove `seccomp-profile: unconfined` from daemon.json; use a kernel with seccomp.",
        .checks = "96",
        .bad = R"(name: shop  # <- DM1108
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "security_options": ["name=apparmor"]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "security_options": ["name=seccomp,profile=builtin"]}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "security_options": ["name=seccomp,profile=default"]}}
)",
        .minutes = 10,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.engine.product == "Docker" && std::ranges::none_of(facts.engine.security_options, [](const std::string& option) { return option.starts_with("name=seccomp") && option.find("unconfined") == std::string::npos; })) report.add(project_place(input), wiring::kNone, "the engine filters no system calls", "");
          });
        },
};

}  // namespace dm::audit::rules

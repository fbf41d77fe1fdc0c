#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule auditd_blind{
    .rule = {
        .id = "DM1113",
        .name = "auditd-blind",
        .severity = Severity::info,
        .area = Area::security,
        .summary = "auditd does not watch the engine",
        .rationale = "Nobody can tell afterwards who changed the engine's settings or replaced its program.",
        .fix = "Add `-w /usr/bin/dockerd -k docker` and the like for /etc/docker, /var/lib/docker, /run/containerd and the units to /etc/audit/rules.d.",
        .checks = "83",
        .bad = R"(name: shop  # <- DM1113
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "auditd": true, "audit_watched": ["/etc/passwd"]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "auditd": true, "audit_watched": ["/usr/bin/dockerd", "/etc/docker"]}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "host": {"seen": true, "auditd": false}}
)",
        .minutes = 20,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.host.auditd && std::ranges::none_of(facts.host.audit_watched, [](const std::string& path) { return path.find("docker") != std::string::npos; })) report.add(project_place(input), wiring::kNone, "auditd runs and watches nothing of the engine", "");
          });
        },
};

}  // namespace dm::audit::rules

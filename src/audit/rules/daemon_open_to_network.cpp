#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule daemon_open_to_network{
    .rule = {
        .id = "DM1101",
        .name = "daemon-open-to-network",
        .severity = Severity::critical,
        .area = Area::security,
        .summary = "the engine listens on the network without proving who calls",
        .rationale = "Whoever reaches that port owns the machine: starting a container with the root folder mounted takes one request.",
        .fix = "Remove the `tcp://` host from daemon.json and the unit; use ssh (`DOCKER_HOST=ssh://user@host`), or TLS with client certificates (`tlsverify`).",
        .checks = "89",
        .bad = R"(name: shop  # <- DM1101
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "hosts": ["unix:///var/run/docker.sock", "tcp://0.0.0.0:2375"]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "hosts": ["unix:///var/run/docker.sock"]}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "daemon": {"seen": true, "hosts": ["tcp://0.0.0.0:2376"], "tls_verify": true}}
)",
        .minutes = 20,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (facts.daemon.tls_verify) return;
            for (const auto& host : facts.daemon.hosts) {
              if (!host.starts_with("tcp://")) continue;
              const bool loopback = host.starts_with("tcp://127.") || host.starts_with("tcp://localhost") || host.starts_with("tcp://[::1]");
              auto& finding = report.add(project_place(input), wiring::kNone, fmt::format("the engine listens on {} without verifying its callers", host));
              if (loopback) finding.severity = Severity::high;  // every user and every container on the host network
            }
          });
        },
};

}  // namespace dm::audit::rules

#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule ssh_inside{
    .rule = {
        .id = "DM1016",
        .name = "ssh-inside",
        .severity = Severity::medium,
        .area = Area::security,
        .summary = "an SSH server runs inside a container that does not offer SSH",
        .rationale = "One more way in, with keys and passwords that nobody rotates, past everything that guards and logs `docker exec`.",
        .fix = "Take the SSH server out of the image or its start script; `docker exec` gives a shell.",
        .checks = "100",
        .bad = R"(services:
  app:  # <- DM1016
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "programs": ["app", "sshd"]}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "programs": ["app"]}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
    ports: ["127.0.0.1:2222:22"]
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "programs": ["app", "sshd"], "ports": [{"inside": 22, "outside": 2222, "address": "127.0.0.1", "protocol": "tcp"}]}]}
)",
        .minutes = 30,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            // A forge or an SFTP server publishes it: SSH is what it is there for.
            if (std::ranges::any_of(container.ports, [](const facts::Port& port) { return port.inside == 22 || port.inside == 2222; })) return;
            for (const auto& program : container.programs)
              if (program == "sshd" || program == "dropbear") report.add(service.where, id, fmt::format("'{}' runs {}", container.name, program));
          });
        },
};

}  // namespace dm::audit::rules

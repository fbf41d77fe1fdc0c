#include <algorithm>
#include <array>
#include <string>

#include "audit/rules/live.hpp"

namespace dm::audit::rules {
namespace {

/// Published as SSH: by one of its usual numbers inside or outside, or by what the environment calls it (`SFTPGO_SFTPD__BINDINGS__0__PORT`, `SSH_PORT`).
bool offers_ssh(const compose::Service& service, const facts::Port& port) {
  static constexpr std::array kUsual{22, 222, 2022, 2222, 22022};
  if (port.outside == 0) return false;
  if (std::ranges::find(kUsual, port.inside) != kUsual.end() || std::ranges::find(kUsual, port.outside) != kUsual.end()) return true;
  const auto number = std::to_string(port.inside);
  return std::ranges::any_of(service.environment, [&](const auto& variable) {
    return variable.name.find("PORT") != std::string_view::npos && (variable.name.find("SSH") != std::string_view::npos || variable.name.find("SFTP") != std::string_view::npos) && variable.value.value == number;
  });
}

}  // namespace

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
  forge:
    image: example/forge:1.0
    ports: ["2022:2022"]
  other:
    image: example/forge:1.0
    environment: {SSH_LISTEN_PORT: "3022"}
    ports: ["9022:3022"]
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "programs": ["app", "sshd"], "ports": [{"inside": 22, "outside": 2222, "address": "127.0.0.1", "protocol": "tcp"}]},
{"name": "shop-forge-1", "service": "forge", "state": "running", "image": "example/forge:1.0", "image_id": "sha256:2", "programs": ["forge", "sshd"], "ports": [{"inside": 2022, "outside": 2022, "address": "0.0.0.0", "protocol": "tcp"}]},
{"name": "shop-other-1", "service": "other", "state": "running", "image": "example/forge:1.0", "image_id": "sha256:2", "programs": ["forge", "sshd"], "ports": [{"inside": 3022, "outside": 9022, "address": "0.0.0.0", "protocol": "tcp"}]}]}
)",
        .minutes = 30,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            // A forge or an SFTP server publishes it: SSH is what it is there for.
            if (std::ranges::any_of(container.ports, [&](const facts::Port& port) { return offers_ssh(service, port); })) return;
            for (const auto& program : container.programs)
              if (program == "sshd" || program == "dropbear") report.add(service.where, id, fmt::format("'{}' runs {}", container.name, program));
          });
        },
};

}  // namespace dm::audit::rules

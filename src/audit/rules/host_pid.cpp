#include <fmt/format.h>

#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule host_pid{
    .id = "DM0618",
    .name = "host-pid",
    .severity = Severity::high,
    .area = Area::security,
    .summary =
        "service sees the processes of the host",
    .rationale =
        "It can read the environment of every process, with its secrets, and signal them.",
    .fix =
        "Remove it.",
    .checks = "18",
    .bad = R"(services:
  app:
    image: example/app:1.0
    pid: host  # <- DM0618
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    labels: {pid: "host"}
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            const auto* node = services[id].node->find("pid");
            if (node == nullptr || node->string() != "host") continue;
            report.add(node->where, id, fmt::format("service '{}' sets pid: host", services[id].name));
          }
        },
};

}  // namespace dm::audit::rules

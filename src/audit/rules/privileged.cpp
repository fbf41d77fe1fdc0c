#include <fmt/format.h>

#include "audit/rule.hpp"

namespace dm::audit::rules {

extern constinit const Rule privileged{
    .id = "DM0601",
    .name = "privileged",
    .severity = Severity::critical,
    .area = Area::security,
    .summary = "container runs privileged",
    .rationale = "`privileged: true` gives the container every capability and every device of the host: whoever breaks into the "
                 "service is root on the machine.",
    .fix = "Remove it and grant what is really needed: one `devices:` entry, one capability under `cap_add:`.",
    .checks = "1 O8",
    .bad = R"(services:
  app:
    image: example/app:1.0
    privileged: true  # <- DM0601
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    devices: [/dev/ttyUSB0]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    privileged: false
    labels: {privileged: "true"}
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            if (!services[id].privileged) continue;
            const auto* node = services[id].node->find("privileged");
            report.add(node != nullptr ? node->where : services[id].where, id,
                       fmt::format("service '{}' runs privileged: it is root on the host", services[id].name));
          }
        },
};

}  // namespace dm::audit::rules

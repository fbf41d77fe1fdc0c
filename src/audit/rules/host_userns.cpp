#include <fmt/format.h>

#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule host_userns{
    .id = "DM0621",
    .name = "host-userns",
    .severity = Severity::medium,
    .area = Area::security,
    .summary =
        "service opts out of user namespaces",
    .rationale =
        "Where the engine maps users, root in this container is root of the host again.",
    .fix =
        "Remove it.",
    .checks = "21",
    .bad = R"(services:
  app:
    image: example/app:1.0
    userns_mode: host  # <- DM0621
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    labels: {userns_mode: "host"}
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            const auto* node = services[id].node->find("userns_mode");
            if (node == nullptr || node->string() != "host") continue;
            report.add(node->where, id, fmt::format("service '{}' sets userns_mode: host", services[id].name));
          }
        },
};

}  // namespace dm::audit::rules

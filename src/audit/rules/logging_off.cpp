#include <fmt/format.h>

#include "audit/rule.hpp"

namespace dm::audit::rules {

extern constinit const Rule logging_off{
    .id = "DM0807",
    .name = "logging-off",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary =
        "logs are thrown away",
    .rationale =
        "With `driver: none` nobody can say afterwards why the service failed.",
    .fix =
        "Remove it and bound the log by `max-size` and `max-file`.",
    .checks = "68",
    .bad = R"(services:
  app:
    image: example/app:1.0
    logging:
      driver: none  # <- DM0807
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    logging: {driver: local}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    logging:
      driver: journald
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            const auto* driver = services[id].node->at({"logging", "driver"});
            if (driver == nullptr || driver->string() != "none") continue;
            report.add(driver->where, id, fmt::format("service '{}' keeps no logs", services[id].name));
          }
        },
};

}  // namespace dm::audit::rules

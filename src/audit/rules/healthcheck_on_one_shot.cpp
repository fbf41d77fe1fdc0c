#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule healthcheck_on_one_shot{
    .id = "DM0303",
    .name = "healthcheck-on-one-shot",
    .severity = Severity::low,
    .area = Area::operations,
    .summary = "a one-shot job has a healthcheck",
    .rationale = "A job that runs to its end has no health; the check only delays or confuses what waits for it.",
    .fix = "Remove it; wait for the job with `condition: service_completed_successfully`.",
    .checks = "111 O1",
    .bad = R"(services:
  app:
    image: example/app:1.0
    depends_on:
      migrate: {condition: service_completed_successfully}
  migrate:
    image: example/app:1.0
    healthcheck:  # <- DM0303
      test: ["CMD", "curl", "-f", "http://localhost"]
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    depends_on:
      migrate: {condition: service_completed_successfully}
  migrate:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost"]
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id] && service.healthcheck && !service.healthcheck->disabled)
              report.add(place(service, "healthcheck"), id, fmt::format("'{}' runs to its end, but has a healthcheck", service.name));
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule cpu_limit_missing{
    .id = "DM0805",
    .name = "cpu-limit-missing",
    .severity = Severity::low,
    .area = Area::operations,
    .summary =
        "no CPU limit",
    .rationale =
        "One busy service can starve all others of the machine.",
    .fix =
        "Set `deploy.resources.limits.cpus`.",
    .checks = "55 O10",
    .bad = R"(services:
  app:  # <- DM0805
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    cpus: 1.5
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    deploy: {resources: {limits: {cpus: "1.5"}}}
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          blanket(
              input, report, [&](ServiceId id, const compose::Service& service) { return !input.wiring.one_shot[id] && !service.limits.cpus; },
              [&](const std::vector<ServiceId>& services) {
                return fmt::format("{} no CPU limit: {}", of_all(input, services.size(), "has", "have"), join_names(input, services));
              });
        },
};

}  // namespace dm::audit::rules

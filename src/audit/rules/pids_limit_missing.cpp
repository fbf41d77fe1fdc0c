#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule pids_limit_missing{
    .id = "DM0806",
    .name = "pids-limit-missing",
    .severity = Severity::low,
    .area = Area::operations,
    .summary =
        "no limit on the number of processes",
    .rationale =
        "A fork bomb, or a healthcheck that never ends, takes all process numbers of the host.",
    .fix =
        "Set `deploy.resources.limits.pids`, for example 512 (`pids_limit` where there is no `deploy.resources.limits`).",
    .checks = "57",
    .bad = R"(services:
  app:  # <- DM0806
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    pids_limit: 512
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    deploy: {resources: {limits: {pids: 512}}}
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          blanket(
              input, report, [&](ServiceId id, const compose::Service& service) { return !input.wiring.one_shot[id] && !service.limits.pids; },
              [&](const std::vector<ServiceId>& services) {
                return fmt::format("{} no pids limit: {}", of_all(input, services.size(), "has", "have"), join_names(input, services));
              });
        },
};

}  // namespace dm::audit::rules

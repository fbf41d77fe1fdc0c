#include <fmt/format.h>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule cpu_limit_missing{
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
          const auto& services = input.project.services;
          std::vector<ServiceId> ids;
          std::vector<Location> where;
          for (ServiceId id = 0; id < services.size(); ++id) {
            if (input.wiring.one_shot[id] || services[id].limits.cpus) continue;
            ids.push_back(id);
            where.push_back(services[id].where);
          }
          if (ids.empty()) return;
          auto message = fmt::format("{} no CPU limit: {}", of_all(input, ids.size(), "has", "have"), join_names(input, ids));
          report.add_all(std::move(where), std::move(ids), std::move(message));
        },
};

}  // namespace dm::audit::rules

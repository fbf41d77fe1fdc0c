#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule backup_coverage{
    .id = "DM0403",
    .name = "backup-coverage",
    .severity = Severity::high,
    .area = Area::recovery,
    .summary = "datastores that nothing in the project backs up",
    .rationale = "Nothing among the services mounts or dumps these data for a backup. (A backup that runs outside "
                 "the project does not show in its files.)",
    .fix = "Add a backup of the database itself (a dump, not a copy of live files), and prove it by "
                 "restoring.",
    .checks = "125 O6 O34",
    .bad = R"(services:
  db:  # <- DM0403
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  backup:
    image: offen/docker-volume-backup:v2.43.0
    volumes: ["pg:/backup/pg:ro"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  cache:
    image: valkey/valkey:8
    volumes: ["cache:/data"]
volumes: {cache: }
)",
    .minutes = 30,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> services;
          for (const auto& store : input.wiring.datastores) {
            if (!store.backed_up_by.empty() || store.ephemeral || !store.product->data.front().essential) continue;
            services.push_back(store.service);
            where.push_back(input.wiring.service(store.service).where);
          }
          if (services.empty()) return;
          auto message = fmt::format("no service backs up the data of {}", join_names(input, services));
          report.add_all(std::move(where), std::move(services), std::move(message));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule profile_closure{
    .id = "DM0101",
    .name = "profile-closure",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "a service depends on one outside its profiles",
    .rationale = "Compose refuses to start a profile when one of its services depends on a service that this "
                 "profile leaves out. It shows only when exactly that profile is started.",
    .fix = "Give the dependency the same profiles, or none, or write `required: false` where it can be "
                 "missed.",
    .checks = "104 O31",
    .bad = R"(services:
  app:
    image: example/app:1.0
    profiles: [apps]
    depends_on: [db]  # <- DM0101
  db:
    image: example/db:1.0
    profiles: [databases]
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    profiles: [apps]
    depends_on: [db]
  db:
    image: example/db:1.0
    profiles: [databases, apps]
)",
    .look_alike = R"(services:
  proxy:
    image: example/proxy:1.0
    depends_on: [web]
  web:
    image: example/web:1.0
    profiles: [full]
  app:
    image: example/app:1.0
    profiles: [apps]
    depends_on:
      db: {condition: service_started, required: false}
  db:
    image: example/db:1.0
    profiles: [databases]
-- .env
COMPOSE_PROFILES=full
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& trouble : input.wiring.profile_troubles)
            report.add(trouble.where, trouble.service,
                       fmt::format("with {} '{}' cannot start: it depends on '{}', which is not in it", trouble.basis,
                                   input.wiring.service(trouble.service).name, input.wiring.service(trouble.dependency).name));
        },
};

}  // namespace dm::audit::rules

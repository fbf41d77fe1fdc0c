#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {

constinit const Rule required_variable_unguarded{
    .id = "DM0108",
    .name = "required-variable-unguarded",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "a secret variable may be blank without an error",
    .rationale = "When the variable is missing on the next machine, Compose starts the service with an empty "
                 "password.",
    .fix = "Write `${NAME:?set it in .env}`.",
    .checks = "119",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD: ${DB_PASSWORD}  # <- DM0108
-- .env
DB_PASSWORD=x
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD: ${DB_PASSWORD:?}
-- .env
DB_PASSWORD=x
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD_FILE: ${DB_PASSWORD_FILE}
-- .env
DB_PASSWORD_FILE=/run/secrets/db
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> services;
          std::string names;
          for (const auto& variable : input.wiring.variables) {
            if (!sensitive::secret_name(variable.name)) continue;
            if (!variable.defined && !variable.documented) continue;  // DM0107 says it
            for (const auto* use : variable.uses) {
              if (use->form != compose::VariableUse::Form::plain) continue;
              where.push_back(use->where);
              if (const auto id = input.wiring.id_of(use->service); id != wiring::kNone && std::ranges::find(services, id) == services.end()) services.push_back(id);
              if (names.find(variable.name) == std::string::npos) names += (names.empty() ? "" : ", ") + variable.name;
            }
          }
          if (where.empty()) return;
          auto message = fmt::format("nothing stops a start with {} blank", names);
          report.add_all(std::move(where), std::move(services), std::move(message));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule variable_undefined{
    .id = "DM0107",
    .name = "variable-undefined",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a variable is defined nowhere",
    .rationale = "Compose replaces an unset variable by nothing and goes on with a warning that scrolls away: a "
                 "blank password, a path that begins at the root.",
    .fix = "Define it in `.env`, name it in `.env.example`, or write `${NAME:?}` so that Compose stops.",
    .checks = "118",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_NAME: ${APP_DB_NAME}  # <- DM0107
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_NAME: ${APP_DB_NAME:-app}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_NAME: ${APP_DB_NAME}
-- .env.example
APP_DB_NAME=
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& variable : input.wiring.variables) {
            if (variable.defined || variable.documented || variable.uses.empty()) continue;
            const compose::VariableUse* first = nullptr;
            bool guarded = false;
            for (const auto* use : variable.uses) {
              guarded = guarded || use->form == compose::VariableUse::Form::required;
              if (first == nullptr && use->form == compose::VariableUse::Form::plain) first = use;
            }
            if (first == nullptr || guarded) continue;
            report.add(first->where, input.wiring.id_of(first->service),
                       fmt::format("variable {} is defined nowhere, so {} is blank", variable.name, first->path));
          }
        },
};

}  // namespace dm::audit::rules

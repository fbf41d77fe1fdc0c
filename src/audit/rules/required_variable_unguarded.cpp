#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {
namespace {

/// `${DATA}/pg:/var/lib/...`: with DATA blank the host's /pg is mounted.
bool begins_source(const Input& input, const compose::VariableUse& use) {
  if (use.path.find(".volumes") == std::string::npos || !use.where) return false;
  const auto& text = input.project.texts.at(use.where.file).content;
  if (use.where.span.begin == 0 || use.where.span.end >= text.size()) return false;
  const char before = text[use.where.span.begin - 1];
  return (before == ' ' || before == '"' || before == '\'') && text[use.where.span.end] == '/';
}

}  // namespace

extern constinit const Rule required_variable_unguarded{
    .id = "DM0108",
    .name = "required-variable-unguarded",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "a secret or a path may be blank without an error",
    .rationale = "When the variable is missing on the next machine, Compose starts the service with an empty "
                 "password, or mounts a folder from the root of the host instead of the one that was meant.",
    .fix = "Write `${NAME:?set it in .env}`.",
    .checks = "119",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD: ${DB_PASSWORD}  # <- DM0108
    volumes: ["${DATA}/app:/data"]
-- .env
DB_PASSWORD=x
DATA=/srv
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD: ${DB_PASSWORD:?}
    volumes: ["${DATA:?}/app:/data"]
-- .env
DB_PASSWORD=x
DATA=/srv
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD_FILE: ${DB_PASSWORD_FILE}
      TZ: ${TZ}
    volumes: ["./${SITE}:/site", "${HOME}/.cache/app:/cache", "${PWD}/app.conf:/etc/app.conf"]
-- .env
DB_PASSWORD_FILE=/run/secrets/db
TZ=UTC
SITE=a
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> services;
          std::string names, roots;
          std::vector<std::string> seen;
          for (const auto& variable : input.wiring.variables) {
            const bool secret = sensitive::secret_name(variable.name);
            if (variable.name == "HOME" || variable.name == "PWD" || variable.name == "USER") continue;  // each shell sets them
            if (!variable.defined && !variable.documented) continue;  // DM0107 says it
            // Guarded once is guarded: Compose stops at that place.
            if (std::ranges::any_of(variable.uses, [](const auto* use) { return use->form == compose::VariableUse::Form::required; })) continue;
            for (const auto* use : variable.uses) {
              if (use->form != compose::VariableUse::Form::plain) continue;
              if (!secret && !begins_source(input, *use)) continue;
              where.push_back(use->where);
              if (const auto id = input.wiring.id_of(use->service); id != wiring::kNone && std::ranges::find(services, id) == services.end()) services.push_back(id);
              if (std::ranges::find(seen, variable.name) != seen.end()) continue;
              seen.push_back(variable.name);
              if (seen.size() <= 12) names += (names.empty() ? "" : ", ") + variable.name;
              if (!secret) roots += (roots.empty() ? "" : ", ") + variable.name;
            }
          }
          if (where.empty()) return;
          std::ranges::sort(where);
          if (seen.size() > 12) names += fmt::format(" and {} more", seen.size() - 12);
          auto message = fmt::format("nothing stops a start with {} blank", names);
          report.add_all(std::move(where), std::move(services), std::move(message),
                         roots.empty() ? "" : fmt::format("blank, {} would make these mounts begin at the root of the host", roots));
        },
};

}  // namespace dm::audit::rules

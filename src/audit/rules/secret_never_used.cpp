#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "sensitive/sensitive.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// A mounted file, a command or a healthcheck may name the variable without Compose.
bool mentioned(const Input& input, std::string_view name) {
  for (const auto& file : input.wiring.config_files)
    if (file.file != sources::kNoFile && input.project.texts.at(file.file).content.find(name) != std::string::npos) return true;
  return std::ranges::any_of(input.project.services, [&](const compose::Service& service) {
    return std::ranges::any_of(service.environment, [&](const auto& variable) { return variable.name == name; });  // `- NAME` passes it on
  });
}

}  // namespace

extern constinit const Rule secret_never_used{
    .id = "DM0508",
    .name = "secret-never-used",
    .severity = Severity::low,
    .area = Area::security,
    .summary = "a secret in an env file is used by nothing",
    .rationale = "A secret that nothing reads is not rotated and not missed when it leaks; or the service that "
                 "should read it runs without.",
    .fix = "Delete it, or pass it to the service that it was made for.",
    .checks = "134",
    .bad = R"(services:
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
-- .env
DB_PASSWORD=one
OLD_API_KEY=two  # <- DM0508
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
-- .env
DB_PASSWORD=one
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment:
      - DB_PASSWORD=${DB_PASSWORD:?}
      - APP_SECRET_KEY
-- .env
DB_PASSWORD=one
RADIO_PASSWORD=two
APP_SECRET_KEY=three
-- radio.yml
services:
  radio:
    image: example/radio:1
    environment: [RADIO_PASSWORD]
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          std::set<std::string_view> passed;  // env files that a service gets whole
          each_service(input, [&](ServiceId, const compose::Service& service) {
            for (const auto& file : service.env_files) passed.insert(file.value);
          });
          std::vector<Location> places;
          std::string names;
          std::optional<std::string> beside;
          for (const auto& variable : input.wiring.variables) {
            if (!variable.uses.empty() || variable.definitions.empty() || !sensitive::secret_name(variable.name)) continue;
            const auto& where = variable.definitions.front();
            const auto& path = input.project.texts.at(where.file).path;
            if (passed.contains(path) || std::ranges::find(input.project.dotenv_files, path) == input.project.dotenv_files.end()) continue;
            if (mentioned(input, variable.name)) continue;
            if (!beside) beside = texts_beside(input);
            if (beside->find(variable.name) != std::string::npos) continue;
            places.push_back(where);
            if (places.size() <= 12) names += (names.empty() ? "" : ", ") + variable.name;
          }
          if (places.empty()) return;
          if (places.size() > 12) names += fmt::format(" and {} more", places.size() - 12);
          const auto size = places.size();
          report.add_all(std::move(places), {}, fmt::format("{} {} defined and used by no service", names, size == 1 ? "is" : "are"));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {

constinit const Rule literal_credential{
    .id = "DM0510",
    .name = "literal-credential",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a secret is written into the compose file",
    .rationale = "Whoever sees the file, its history or a copy of it has the secret; it cannot be rotated without "
                 "an edit of the file.",
    .fix = "Write `${NAME:?}` and keep the value in a sealed file, or use `secrets:` with the product's "
                 "`_FILE` variable.",
    .checks = "49 O37",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD: sunflower-42  # <- DM0510
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_PASSWORD: ${DB_PASSWORD:?}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      ADMIN_PASSWORD: $$argon2id$$v=19$$m=65540,t=3,p=4$$abc
      DB_PASSWORD_FILE: /run/secrets/db
      OAUTH_TOKEN_URL: https://id.example.org/token
      PASSWORD: ""
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          struct Group {
            std::string_view name;
            std::vector<Location> where;
            std::vector<ServiceId> services;
          };
          std::vector<std::pair<std::string_view, Group>> groups;  // one value at several places is one secret
          std::map<std::string_view, std::size_t> known;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& variable : service.environment) {
              const auto& value = variable.value;
              if (variable.from_env_file || !value.node->is_string() || value.value.empty() || !sensitive::secret_name(variable.name)) continue;
              if (!is_literal(*value.node) || sensitive::looks_hashed(value.value) || value.value == "true" || value.value == "false" || value.value.starts_with('/')) continue;
              if (placeholder(value.value)) continue;  // DM0505 says it
              const auto [at, fresh] = known.emplace(value.value, groups.size());
              if (fresh) groups.emplace_back(value.value, Group{variable.name, {}, {}});
              auto& group = groups[at->second].second;
              group.where.push_back(value.where());
              if (group.services.empty() || group.services.back() != id) group.services.push_back(id);
            }
          });
          for (auto& [value, group] : groups) {
            auto message = fmt::format("{} of {} is written into the file {}", group.name, quoted_names(input, group.services), sensitive::mask(value));
            report.add_all(std::move(group.where), std::move(group.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

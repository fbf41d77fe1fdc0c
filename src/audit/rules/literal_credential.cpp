#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "audit/rules/helpers.hpp"
#include "audit/rules/switched_off.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {
namespace {

/// A client that insists on a key for a server that asks for none is given such a word.
bool stands_for_none(std::string_view name, std::string_view value) {
  if (!name.ends_with("KEY") && !name.ends_with("TOKEN")) return false;
  static constexpr std::array kWords{"none", "null", "empty", "dummy", "unused", "ignored", "not-needed", "not-required", "no-key", "no-key-required", "sk-no-key-required", "n/a", "invalid", "unset"};
  auto lower = lowered(value);
  std::ranges::replace(lower, '_', '-');
  return std::ranges::find(kWords, lower) != kWords.end();
}

/// `PASSWORD: unused`, and a key for a server of this project, called after it: what nobody checks.
bool nobody_checks(const Input& input, std::string_view name, std::string_view value) {
  if (value == "unused" || value == "not-used" || value == "notused") return true;
  if ((name.ends_with("API_KEY") || name.ends_with("TOKEN")) && value.starts_with("local-")) {
    // `local-whisper`; what more than names a program may be a real key.
    const auto rest = value.substr(6);
    if (input.project.service(rest) != nullptr) return true;
    if (name.ends_with("API_KEY") && rest.size() < 20 && std::ranges::count(rest, '-') < 2 && std::ranges::all_of(rest, [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; })) return true;
  }
  return name.ends_with("API_KEY") && input.project.service(value) != nullptr;
}

/// `${DB_PASSWORD:-tracker}` with the variable set nowhere: what is in force stands in the file.
bool falls_back(const compose::Value& value) {
  bool any = false;
  for (const auto& segment : *value.segments) {
    if (segment.kind == compose::Segment::Kind::literal) continue;
    if (segment.kind != compose::Segment::Kind::fallback || segment.defined) return false;
    any = true;
  }
  return any;
}

/// S3 calls the name of a user its access key; what must be kept is the secret key beside it.
bool names_user(const compose::Service& service, std::string_view name) {
  constexpr std::string_view kEnd = "ACCESS_KEY";
  if (!name.ends_with(kEnd) || name.ends_with("SECRET_ACCESS_KEY")) return false;
  const auto prefix = std::string(name.substr(0, name.size() - kEnd.size()));
  return std::ranges::any_of(service.environment, [&](const auto& other) {
    return other.name == prefix + "SECRET_KEY" || other.name == prefix + "SECRET_ACCESS_KEY" || other.name == prefix + "ACCESS_SECRET" || other.name == prefix + "ACCESS_KEY_SECRET";
  });
}

}  // namespace

extern constinit const Rule literal_credential{
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
      CACHE_PASSWORD: ${CACHE_PASSWORD:-moonflower-43}  # <- DM0510
      VAULT_TOKEN: local-s3cr3tT0k3n  # <- DM0510
      ROOT_TOKEN: local-moonflower  # <- DM0510
      SEARCH_API_KEY: local-sun7flower  # <- DM0510
      STORE_ACCESS_KEY: moonflower-44  # <- DM0510
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
      OPENAI_API_KEY: none
      MAIL_API_KEY: ${MAIL_API_KEY:-invalid}
      GUARD_API_KEY: ${GUARD_API_KEY:-unset}
      RAG_OPENAI_API_KEY: app
      WHISPER_API_KEY: ${WHISPER_API_KEY:-local-whisper}
      NEO4J_PASSWORD: unused
      SET_PASSWORD: ${SET_PASSWORD:-moonflower-43}
      MAIL_PASSWORD: ${MAIL_PASSWORD:-}
      S3_ACCESS_KEY: shop
      S3_SECRET_KEY: ${S3_SECRET_KEY:?}
      MODELS_TOKEN: local-llama3
      APP_USE_AWS_S3: ${APP_USE_AWS_S3:-false}
      APP_AWS_S3_SECRET_ACCESS_KEY: ${APP_AWS_S3_SECRET_ACCESS_KEY:-azerty123456}
  llama3:
    image: example/llama:3
-- .env
SET_PASSWORD=other-44
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          struct Group {
            std::string_view name;
            std::vector<Location> where;
            std::vector<ServiceId> services;
            bool fallback = true;  // nowhere written out but as a default
          };
          std::vector<std::pair<std::string_view, Group>> groups;  // one value at several places is one secret
          std::map<std::string_view, std::size_t> known;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto off = switched_off(service);
            for (const auto& variable : service.environment) {
              const auto& value = variable.value;
              if (variable.from_env_file || !value.node->is_string() || value.value.empty() || !sensitive::secret_name(variable.name)) continue;
              const bool fallback = !is_literal(*value.node);
              if ((fallback && !falls_back(*value.node)) || sensitive::looks_hashed(value.value) || value.value == "true" || value.value == "false" || value.value.starts_with('/')) continue;
              if (placeholder(value.value) || !same_as_user(service, variable).empty()) continue;  // DM0505 says it
              if (belongs_to(off, variable.name)) continue;
              if (stands_for_none(variable.name, value.value) || nobody_checks(input, variable.name, value.value) || names_user(service, variable.name)) continue;
              const auto [at, fresh] = known.emplace(value.value, groups.size());
              if (fresh) groups.emplace_back(value.value, Group{variable.name, {}, {}, true});
              auto& group = groups[at->second].second;
              group.fallback = group.fallback && fallback;
              group.where.push_back(value.where());
              if (group.services.empty() || group.services.back() != id) group.services.push_back(id);
            }
          });
          for (auto& [value, group] : groups) {
            auto message = fmt::format("{} of {} {} {}", group.name, quoted_names(input, group.services),
                                       group.fallback ? "has a default that stands in the file, and nothing sets another" : "is written into the file", sensitive::mask(value));
            auto& finding = report.add_all(std::move(group.where), std::move(group.services), std::move(message));
            if (group.fallback) finding.severity = Severity::medium;
          }
        },
};

}  // namespace dm::audit::rules

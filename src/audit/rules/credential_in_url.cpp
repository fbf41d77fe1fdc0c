#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "audit/rules/helpers.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {
namespace {

/// scheme://user:password@host, the password literal in the file.
bool has_password(const compose::Value& value) {
  const auto written = value.raw.empty() ? value.text : value.raw;
  const auto scheme = written.find("://");
  if (scheme == std::string_view::npos || scheme == 0) return false;
  const auto rest = written.substr(scheme + 3);
  const auto at = rest.substr(0, rest.find_first_of("/ ?#")).rfind('@');
  if (at == std::string_view::npos) return false;
  const auto colon = rest.substr(0, at).find(':');
  if (colon == std::string_view::npos) return false;
  const auto password = rest.substr(colon + 1, at - colon - 1);
  return !password.empty() && password.find('$') == std::string_view::npos && password.find('<') == std::string_view::npos &&
         password.find("/run/secrets") == std::string_view::npos;
}

/// Variables with a default that a variable called a password takes, too: DM0510 speaks of those.
std::set<std::string_view> told_elsewhere(const Input& input) {
  std::set<std::string_view> out;
  each_service(input, [&](ServiceId, const compose::Service& service) {
    for (const auto& variable : service.environment) {
      if (variable.from_env_file || variable.value.node->segments == nullptr || !sensitive::secret_name(variable.name)) continue;
      for (const auto& segment : *variable.value.node->segments)
        if (segment.kind == compose::Segment::Kind::fallback) out.insert(segment.variable);
    }
  });
  return out;
}

/// postgres://app:${DB_PASSWORD:-hunter22}@db with the variable set nowhere: the default is in force.
bool has_default(const compose::Value& value, const std::set<std::string_view>& told) {
  if (value.segments == nullptr) return false;
  bool falls_back = false;
  for (const auto& segment : *value.segments) {
    if (segment.kind != compose::Segment::Kind::fallback || segment.defined) continue;
    const auto name = std::string(segment.variable);
    if (told.contains(segment.variable)) continue;
    falls_back = falls_back || name.find("PASS") != std::string::npos || name.find("PWD") != std::string::npos || name.find("SECRET") != std::string::npos;
  }
  if (!falls_back) return false;
  const auto scheme = value.text.find("://");
  if (scheme == std::string_view::npos) return false;
  const auto rest = value.text.substr(scheme + 3);
  const auto at = rest.substr(0, rest.find_first_of("/ ?#")).rfind('@');
  if (at == std::string_view::npos) return false;
  const auto colon = rest.substr(0, at).find(':');
  return colon != std::string_view::npos && colon + 1 < at;
}

}  // namespace

extern constinit const Rule credential_in_url{
    .id = "DM0502",
    .name = "credential-in-url",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a password is written into a connection URL",
    .rationale = "Connection strings are logged, shown in error pages and passed on; and the file's readers have "
                 "the password.",
    .fix = "Write the password as `${NAME:?}`, or give the parts in variables of their own with a `_FILE` "
           "form.",
    .checks = "50",
    .bad = R"(services:
  app:
    image: example/app:1
    environment:
      DATABASE_URL: postgres://app:hunter22@db:5432/app  # <- DM0502
      JOBS_URL: postgres://${JOBS_USER:-jobs}:${JOBS_PASSWORD:-hunter33}@db:5432/jobs  # <- DM0502
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment:
      DATABASE_URL: postgres://app:${DB_PASSWORD:?}@db:5432/app
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment:
      CALLBACK: https://example.org:8443/a@b
      PROXY: http://user@proxy:3128
      EXAMPLE: see https://example.org/ or mail to a:b@example.org
      TOLD_PASSWORD: ${TOLD_PASSWORD:?}
      OWN_URL: postgres://${OWN_USER:-own}:${OWN_PASSWORD:-hunter44}@db:5432/own
      HOST_URL: postgres://app:${DB_PASSWORD}@${DB_HOST:-db}:5432/app
      CACHE_URL: redis://${CACHE_PASSWORD:+:${CACHE_PASSWORD}@}cache:6379
      SECRET_FROM_FILE: postgres://app:${DB_PASSWORD}@db/app
-- .env
OWN_PASSWORD=moonflower
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          struct Url {
            std::string_view variable;
            Location where;
            std::vector<ServiceId> services;
            bool fallback = false;
          };
          const auto told = told_elsewhere(input);
          std::vector<Url> urls;
          std::map<Location, std::size_t> known;  // an anchor that several services take is one place
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& variable : service.environment) {
              if (variable.from_env_file || variable.value.node->kind != compose::Kind::string) continue;
              const bool written = has_password(*variable.value.node);
              if (!written && !has_default(*variable.value.node, told)) continue;
              const auto [at, fresh] = known.emplace(variable.value.where(), urls.size());
              if (fresh) urls.push_back({variable.name, variable.value.where(), {}, !written});
              urls[at->second].services.push_back(id);
            }
          });
          for (auto& url : urls) {
            auto message = fmt::format("{} of {} is a URL with {}", url.variable, quoted_names(input, url.services),
                                       url.fallback ? "a password by default that stands in the file, and nothing sets another" : "its password written out");
            auto& finding = report.add_all({url.where}, std::move(url.services), std::move(message));
            if (url.fallback) finding.severity = Severity::medium;
          }
        },
};

}  // namespace dm::audit::rules

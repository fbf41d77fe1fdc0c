#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/rules/helpers.hpp"

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
      SECRET_FROM_FILE: postgres://app:${DB_PASSWORD}@db/app
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          struct Url {
            std::string_view variable;
            Location where;
            std::vector<ServiceId> services;
          };
          std::vector<Url> urls;
          std::map<Location, std::size_t> known;  // an anchor that several services take is one place
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& variable : service.environment) {
              if (variable.from_env_file || variable.value.node->kind != compose::Kind::string) continue;
              if (!has_password(*variable.value.node)) continue;
              const auto [at, fresh] = known.emplace(variable.value.where(), urls.size());
              if (fresh) urls.push_back({variable.name, variable.value.where(), {}});
              urls[at->second].services.push_back(id);
            }
          });
          for (auto& url : urls) {
            auto message = fmt::format("{} of {} is a URL with its password written out", url.variable, quoted_names(input, url.services));
            report.add_all({url.where}, std::move(url.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

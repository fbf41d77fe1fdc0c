#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "sensitive/sensitive.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

bool breaks(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (std::string_view("@:/?#[] ").find(value[i]) != std::string_view::npos) return true;
    const auto hex = [&](std::size_t at) { return at < value.size() && std::isxdigit(static_cast<unsigned char>(value[at])) != 0; };
    if (value[i] == '%' && !(hex(i + 1) && hex(i + 2))) return true;
  }
  return false;
}

/// The key that a line begins with: `KEY: ...`, `- KEY=...`.
std::string_view key_of(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" -\"'"), line.size()));
  const auto end = line.find_first_of(":= ");
  return end == std::string_view::npos ? std::string_view() : line.substr(0, end);
}

}  // namespace

extern constinit const Rule secret_breaks_url{
    .id = "DM0503",
    .name = "secret-breaks-url",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a secret with reserved characters stands unescaped in a URL",
    .rationale = "A password with `@`, `:`, `/`, `?`, `#` or `%` ends the part of the URL in which it stands: the "
                 "service connects to a wrong host or does not start.",
    .fix = "Make such secrets from letters and digits (`openssl rand -hex 32`), or percent-encode the value "
           "where it is used.",
    .checks = "123",
    .bad = R"(services:
  app:
    image: example/app:1
    environment:
      DATABASE_URL: postgres://app:${DB_PASSWORD}@db:5432/app  # <- DM0503
-- .env
DB_PASSWORD=ab/cd#e@f
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment:
      DATABASE_URL: postgres://app:${DB_PASSWORD}@db:5432/app
-- .env
DB_PASSWORD=abcdef0123456789
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment:
      DATABASE_URL: postgres://app:${DB_PASSWORD}@db:5432/app
      PUBLIC_URL: ${SCHEME}://${WEB_HOST}/login
-- .env
DB_PASSWORD=abc%40def-._~
SCHEME=https
WEB_HOST=example.org/base
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          struct Broken {
            std::vector<Location> where;
            std::vector<ServiceId> services;
            std::vector<std::string> keys;
          };
          std::map<std::string_view, Broken> found;  // one value is one mistake
          for (const auto& use : input.project.variables) {
            if (use.service.empty() || !sensitive::secret_name(use.name)) continue;
            const auto known = input.project.environment.find(use.name);
            if (known == input.project.environment.end() || !breaks(known->second.value)) continue;
            const auto text = std::string_view(input.project.texts.at(use.where.file).content);
            const auto line_begin = text.rfind('\n', use.where.span.begin) + 1;
            const auto before = text.substr(line_begin, use.where.span.begin - line_begin);
            const auto scheme = before.rfind("://");
            if (scheme == std::string_view::npos || before.find_first_of(" /'\"", scheme + 3) != std::string_view::npos) continue;
            if (before.find(':', scheme + 3) == std::string_view::npos || text.substr(use.where.span.end, 1) != "@") continue;
            auto& broken = found[use.name];
            broken.where.push_back(use.where);
            if (const auto id = input.wiring.id_of(use.service); id != wiring::kNone) broken.services.push_back(id);
            if (const auto key = key_of(before); !key.empty() && std::ranges::find(broken.keys, key) == broken.keys.end()) broken.keys.emplace_back(key);
          }
          for (auto& [name, broken] : found) {
            auto message = fmt::format("the value of {} holds characters that break the URL in {} of {}", name, broken.keys.empty() ? "the environment" : fmt::format("{}", fmt::join(broken.keys, ", ")),
                                       quoted_names(input, broken.services));
            report.add_all(std::move(broken.where), std::move(broken.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

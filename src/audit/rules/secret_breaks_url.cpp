#include <fmt/format.h>

#include <algorithm>
#include <cctype>

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
            report.add(use.where, input.wiring.id_of(use.service),
                       fmt::format("the value of {} holds characters that break the URL in {}", use.name, use.path));
          }
        },
};

}  // namespace dm::audit::rules

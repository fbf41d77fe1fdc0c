#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// `'$NAME'` after PASSWORD or IDENTIFIED BY: its place and size with the quotes; size 0 for none.
std::pair<std::size_t, std::size_t> pasted(std::string_view row) {
  const auto first = row.find_first_not_of(" \t");
  if (first == std::string_view::npos || row[first] == '#' || row.substr(first).starts_with("echo ") || row.substr(first).starts_with("printf ")) return {};
  std::string upper(row);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const std::string_view word : {"PASSWORD '", "IDENTIFIED BY '"}) {
    const auto found = upper.find(word);
    if (found == std::string::npos) continue;
    const auto at = found + word.size() - 1;
    const auto close = row.find('\'', at + 1);
    const auto value = row.substr(at + 1, close == std::string_view::npos ? 0 : close - at - 1);
    if (value.size() < 2 || value[0] != '$' || value[1] == '(' || value.find("//") != std::string_view::npos) continue;
    return {at, value.size() + 2};
  }
  return {};
}

}  // namespace

extern constinit const Rule init_script_injection{
    .id = "DM0530",
    .name = "init-script-injection",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "an init script pastes a variable into SQL",
    .rationale = "The shell puts the value between the quotes as it is: a password with a quote in it ends the string. "
                 "At best the script aborts and the database starts half made; at worst what follows the quote is run "
                 "as SQL.",
    .fix = "Hand the value to psql and let it quote: `psql -v pw=\"$PASSWORD\"` with `:'pw'` in a quoted heredoc "
           "(`<<'SQL'`); for MariaDB escape it first, as the image's own `docker_sql_escape_string_literal` "
           "does.",
    .checks = "O2",
    .bad = R"(services:
  db:
    image: postgres:17
    volumes:
      - pg:/var/lib/postgresql/data
      - ./init.sh:/docker-entrypoint-initdb.d/init.sh:ro
volumes: {pg: }
-- init.sh 0755
#!/bin/sh
psql -U "$POSTGRES_USER" <<EOSQL
  CREATE ROLE app LOGIN PASSWORD '$APP_PASSWORD';  # <- DM0530
EOSQL
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes:
      - pg:/var/lib/postgresql/data
      - ./init.sh:/docker-entrypoint-initdb.d/init.sh:ro
volumes: {pg: }
-- init.sh 0755
#!/bin/sh
psql -U "$POSTGRES_USER" -v pw="$APP_PASSWORD" <<'EOSQL'
  CREATE ROLE app LOGIN PASSWORD :'pw';
EOSQL
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    volumes:
      - pg:/var/lib/postgresql/data
      - ./init.sh:/docker-entrypoint-initdb.d/init.sh:ro
volumes: {pg: }
-- init.sh 0755
#!/bin/sh
echo "creating the role app with PASSWORD '$APP_PASSWORD_FILE'"
psql -U "$POSTGRES_USER" <<EOSQL
  CREATE DATABASE "$APP_DB";
EOSQL
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& script : database_scripts(input)) {
            if (!script.shell) continue;
            const auto text = script.text;
            const auto& config = *script.config;
            std::vector<Location> where;
            std::string names;
            for (std::size_t line = 0; line < text.size();) {
              const auto end = std::min(text.find('\n', line), text.size());
              const auto row = text.substr(line, end - line);
              const auto [at, size] = pasted(row);
              if (size > 0) {
                const auto from = static_cast<std::uint32_t>(line + at);
                where.push_back({config.file, {from, from + static_cast<std::uint32_t>(size)}});
                if (where.size() <= 6) names += fmt::format("{}{}", names.empty() ? "" : ", ", row.substr(at + 1, size - 2));
              }
              line = end + 1;
            }
            if (where.empty()) continue;
            report.add_all(std::move(where), {config.service},
                           fmt::format("{} pastes {} into SQL: a quote in it breaks or changes the statement", sources::relative_to(config.path, input.project.folder), names));
          }
        },
};

}  // namespace dm::audit::rules

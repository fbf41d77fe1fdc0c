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

/// The client itself reads it: what another program reads (`bash`, `envsubst`, `cat > file`) may still be filled in.
bool read_by_client(std::string_view before) {
  const auto all = commands(before);
  bool client = false;
  for (const auto& word : all.back().words) {
    const std::string_view text = word.text;
    const auto name = text.substr(text.rfind('/') + 1);  // npos + 1 is the begin
    for (const std::string_view shell : {"sh", "bash", "dash", "ash", "eval"})
      if (name == shell) return false;
    client = client || name == "psql" || name == "mysql" || name == "mariadb";
  }
  return client;
}

/// What ends the heredoc that begins on a row, where its quotes keep the shell, and all others, from filling anything in.
/// `before`: what continues on the row.
std::string_view quoted_heredoc(std::string_view before, std::string_view row) {
  auto at = row.find("<<");
  if (at == std::string_view::npos) return {};
  const auto begin = at;
  at += 2;
  if (at < row.size() && row[at] == '-') ++at;
  while (at < row.size() && row[at] == ' ') ++at;
  if (at >= row.size() || (row[at] != '\'' && row[at] != '"')) return {};
  const auto close = row.find(row[at], at + 1);
  if (close == std::string_view::npos) return {};
  std::string command(before);
  std::ranges::replace(command, '\\', ' ');
  std::ranges::replace(command, '\n', ' ');
  if (!read_by_client(command.append(row.substr(0, begin)))) return {};
  return row.substr(at + 1, close - at - 1);
}

std::string_view trimmed(std::string_view row) {
  const auto first = row.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view() : row.substr(first, row.find_last_not_of(" \t\r") + 1 - first);
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
psql -U "$POSTGRES_USER" <<- 'EOSQL'
  CREATE USER other WITH ENCRYPTED PASSWORD '${OTHER_PASSWORD}';  # <- DM0530
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
envsubst <<'EOSQL' | psql -U "$POSTGRES_USER"
  CREATE ROLE app LOGIN PASSWORD :'pw';
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
            std::vector<Location> kept;
            std::string names, kept_names;
            std::string_view until;  // the end of a quoted heredoc
            std::size_t command = 0;  // where the command of a row begins
            for (std::size_t line = 0; line < text.size();) {
              const auto end = std::min(text.find('\n', line), text.size());
              const auto row = text.substr(line, end - line);
              if (until.empty())
                until = quoted_heredoc(text.substr(command, line - command), row);
              else if (trimmed(row) == until)
                until = {};
              const auto [at, size] = pasted(row);
              if (size > 0) {
                const auto from = static_cast<std::uint32_t>(line + at);
                auto& places = until.empty() ? where : kept;
                auto& list = until.empty() ? names : kept_names;
                places.push_back({config.file, {from, from + static_cast<std::uint32_t>(size)}});
                if (places.size() <= 6) list += fmt::format("{}{}", list.empty() ? "" : ", ", row.substr(at + 1, size - 2));
              }
              line = end + 1;
              if (!row.ends_with('\\')) command = line;
            }
            if (!kept.empty())
              report.add_all(std::move(kept), {config.service},
                             fmt::format("{} keeps {} as it stands: the heredoc is quoted, so the password is this very text",
                                         sources::relative_to(config.path, input.project.folder), kept_names))
                  .severity = Severity::high;
            if (where.empty()) continue;
            report.add_all(std::move(where), {config.service},
                           fmt::format("{} pastes {} into SQL: a quote in it breaks or changes the statement", sources::relative_to(config.path, input.project.folder), names));
          }
        },
};

}  // namespace dm::audit::rules

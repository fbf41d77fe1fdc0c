#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <tuple>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// Where `:'name'` or `:"name"` stands; not `::type`, and not within a string ('a:b').
std::size_t psql_variable(std::string_view block) {
  for (auto at = block.find(':'); at != std::string_view::npos; at = block.find(':', at + 1)) {
    if (at + 2 >= block.size() || (at > 0 && (block[at - 1] == ':' || std::isalnum(static_cast<unsigned char>(block[at - 1])) != 0))) continue;
    const char quote = block[at + 1];
    if (quote != '\'' && quote != '"') continue;
    auto end = at + 2;
    while (end < block.size() && (std::isalnum(static_cast<unsigned char>(block[end])) != 0 || block[end] == '_')) ++end;
    if (end > at + 2 && end < block.size() && block[end] == quote) return at;
  }
  return std::string_view::npos;
}

}  // namespace

extern constinit const Rule variable_in_dollar_quote{
    .id = "DM0130",
    .name = "variable-in-dollar-quote",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a psql variable inside a dollar-quoted block of an init script",
    .rationale = "psql does not look into `$$ ... $$`: `:'var'` reaches the server as it stands, the statement is a "
                 "syntax error, and the init script aborts. The image then has a data folder, skips its scripts at the "
                 "next start, and looks healthy without the databases.",
    .fix = "Build the statement outside of the block: `SELECT format('CREATE ROLE app PASSWORD %L', :'password') "
           "\\gexec`.",
    .checks = "O2 O31",
    .bad = R"(services:
  db:
    image: postgres:17
    volumes:
      - pg:/var/lib/postgresql/data
      - ./init.sql:/docker-entrypoint-initdb.d/init.sql:ro
volumes: {pg: }
-- init.sql
DO $$
BEGIN
  CREATE ROLE app LOGIN PASSWORD :'app_password';  # <- DM0130
END
$$;
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes:
      - pg:/var/lib/postgresql/data
      - ./init.sql:/docker-entrypoint-initdb.d/init.sql:ro
volumes: {pg: }
-- init.sql
SELECT format('CREATE ROLE app LOGIN PASSWORD %L', :'app_password') \gexec
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    volumes:
      - pg:/var/lib/postgresql/data
      - ./init.sql:/docker-entrypoint-initdb.d/init.sql:ro
volumes: {pg: }
-- init.sql
DO $$
BEGIN
  PERFORM 'a:b'::text, now()::date;
  RAISE NOTICE 'role:%', 'app';
END
$$;
ALTER ROLE app PASSWORD :'app_password';
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& script : database_scripts(input)) {
            const auto text = script.text;
            const auto& config = *script.config;
            const bool shell = script.shell;  // its heredoc writes the block as \$\$
            if (shell && text.find("psql") == std::string_view::npos) continue;
            const auto mark = [&](std::size_t from) {
              const auto plain = text.find("$$", from);
              const auto escaped = shell ? text.find("\\$\\$", from) : std::string_view::npos;
              return escaped < plain ? std::pair(escaped, std::size_t{4}) : std::pair(plain, std::size_t{2});
            };
            for (auto [begin, size] = mark(0); begin != std::string_view::npos;) {
              const auto [end, closing] = mark(begin + size);
              if (end == std::string_view::npos) break;
              const auto block = text.substr(begin, end - begin);
              if (const auto at = psql_variable(block); at != std::string_view::npos && block.size() < 65536) {
                const auto from = static_cast<std::uint32_t>(begin + at);
                const auto stop = static_cast<std::uint32_t>(text.find_first_of("'\"", from + 2) + 1);
                report.add({config.file, {from, stop}}, config.service,
                           fmt::format("{} uses {} inside $$...$$, where psql replaces nothing: the init script of '{}' aborts",
                                       sources::relative_to(config.path, input.project.folder), text.substr(from, stop - from), input.wiring.service(config.service).name));
              }
              std::tie(begin, size) = mark(end + closing);
            }
          }
        },
};

}  // namespace dm::audit::rules

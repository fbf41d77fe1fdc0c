#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <tuple>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

constexpr std::uint64_t kLargestSql = 1U << 20U;

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

/// Uses of psql variables within dollar-quoted blocks, one a block. A shell's heredoc may write the block as \$\$; where `strict`, a
/// block has a blank before it (`DO $$`), which `/tmp/file.$$` has not.
std::vector<text::Span> variables_in_blocks(std::string_view text, bool shell, bool strict) {
  std::vector<text::Span> out;
  const auto mark = [&](std::size_t from) {
    const auto plain = text.find("$$", from);
    const auto escaped = shell ? text.find("\\$\\$", from) : std::string_view::npos;
    return escaped < plain ? std::pair(escaped, std::size_t{4}) : std::pair(plain, std::size_t{2});
  };
  for (auto [begin, size] = mark(0); begin != std::string_view::npos;) {
    if (strict && (begin == 0 || std::isspace(static_cast<unsigned char>(text[begin - 1])) == 0)) {
      std::tie(begin, size) = mark(begin + size);
      continue;
    }
    const auto [end, closing] = mark(begin + size);
    if (end == std::string_view::npos) break;
    const auto block = text.substr(begin, end - begin);
    if (const auto at = psql_variable(block); at != std::string_view::npos && block.size() < 65536) {
      const auto from = static_cast<std::uint32_t>(begin + at);
      out.push_back({from, static_cast<std::uint32_t>(text.find_first_of("'\"", from + 2) + 1)});
    }
    std::tie(begin, size) = mark(end + closing);
  }
  return out;
}

/// FILE of `psql ... -f FILE`, `--file=FILE` and `psql ... < FILE`; not what stands in a variable.
std::vector<std::string> files_for_psql(std::string_view line) {
  std::vector<std::string> out;
  for (const auto& command : commands(line)) {
    const auto calls = [](const ScriptWord& word) { return word.text == "psql" || word.text.ends_with("/psql"); };
    const auto first = std::ranges::find_if(command.words, calls);
    if (first == command.words.end()) continue;
    for (auto word = first; word != command.words.end(); ++word) {
      std::string name;
      if ((word->text == "-f" || word->text == "--file" || (word->text == "<" && !word->quoted)) && word + 1 != command.words.end()) name = (word + 1)->text;
      if (word->text.starts_with("--file=")) name = word->text.substr(7);
      if (!name.empty() && name != "-" && name.find('$') == std::string::npos) out.push_back(std::move(name));
    }
  }
  return out;
}

}  // namespace

extern constinit const Rule variable_in_dollar_quote{
    .id = "DM0130",
    .name = "variable-in-dollar-quote",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a psql variable inside a dollar-quoted block",
    .rationale = "psql does not look into `$$ ... $$`: `:'var'` reaches the server as it stands, the statement is a "
                 "syntax error. An init script aborts: the image then has a data folder, skips its scripts at the "
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
-- scripts/rotate.sh
#!/bin/sh
docker compose exec -T db psql -U postgres -v password="$1" < sql/rotate.sql
psql -v role="$2" <<'SQL'
DO $$ BEGIN
  EXECUTE 'DROP ROLE ' || :'role';  # <- DM0130
END $$;
SQL
-- sql/rotate.sql
DO $do$ BEGIN RAISE NOTICE 'rotated'; END $do$;
DO $$ BEGIN
  ALTER ROLE app PASSWORD :'password';  # <- DM0130
END $$;
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
-- dump.sh
#!/bin/sh
psql -v role=app <<'SQL' > /tmp/out.$$
SELECT :'role';
SQL
psql -f "$FILE"
rm /tmp/out.$$
-- notes.sql
DO $$ BEGIN PERFORM :'nobody_runs_this'; END $$;
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          std::set<sources::FileId> seen;
          for (const auto& script : database_scripts(input)) {
            const auto& config = *script.config;
            seen.insert(config.file);
            if (script.shell && script.text.find("psql") == std::string_view::npos) continue;
            for (const auto& span : variables_in_blocks(script.text, script.shell, false))
              report.add({config.file, span}, config.service,
                         fmt::format("{} uses {} inside $$...$$, where psql replaces nothing: the init script of '{}' aborts",
                                     sources::relative_to(config.path, input.project.folder), script.text.substr(span.begin, span.size()),
                                     input.wiring.service(config.service).name));
          }
          // What scripts of the project run by hand: a heredoc for psql, and the files that they give it.
          const bool here = std::ranges::any_of(input.wiring.datastores, [](const auto& store) { return store.kind == "postgres"; });
          if (!here) return;
          const auto look = [&](sources::FileId file, bool shell, std::string_view caller) {
            if (!seen.insert(file).second) return;
            const std::string_view text = input.project.texts.at(file).content;
            for (const auto& span : variables_in_blocks(text, shell, true))
              report.add({file, span}, wiring::kNone,
                         fmt::format("{} uses {} inside $$...$$, where psql replaces nothing: the statement is a syntax error",
                                     sources::relative_to(input.project.texts.at(file).path, input.project.folder), text.substr(span.begin, span.size())),
                         shell ? "" : fmt::format("{} gives it to psql", sources::relative_to(caller, input.project.folder)));
          };
          for (const auto& line : script_lines(input)) {
            if (line.text.find("psql") == std::string::npos) continue;
            const std::string path(input.project.texts.at(line.file).path);
            if (line.text.find("<<") != std::string::npos) look(line.file, true, path);
            for (const auto& name : files_for_psql(line.text))
              for (const auto& folder : {line.folder, input.project.folder}) {
                const auto sql = sources::clean_path(name, folder);
                if (input.files.stat(sql).kind != sources::Kind::regular) continue;
                if (const auto file = input.texts_owner.texts.open(sql, kLargestSql)) look(*file, false, path);
              }
          }
        },
};

}  // namespace dm::audit::rules

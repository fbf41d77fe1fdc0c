#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "audit/rules/helpers.hpp"
#include "audit/rules/near_miss.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {
namespace {

constexpr std::size_t kMostSingle = 3;

struct Blank {
  const wiring::VariableInfo* variable;
  const compose::VariableUse* use;
};

/// Blank, it breaks the service; of many others (TZ, JAVA_OPTS) blank may be what its author meant.
bool matters(std::string_view name, std::string_view path) {
  if (sensitive::secret_name(name)) return true;
  for (const std::string_view key : {".image", ".volumes", ".ports", ".build", ".user", ".env_file", ".networks", ".hostname", ".container_name", ".secrets", ".configs"})
    if (path.find(key) != std::string_view::npos) return true;
  while (!name.empty()) {
    const auto end = std::min(name.find('_'), name.size());
    const auto word = name.substr(0, end);
    for (const std::string_view known : {"HOST", "HOSTNAME", "URL", "URI", "DSN", "PORT", "DOMAIN", "USER", "USERNAME", "DB", "DATABASE", "DBNAME", "DBUSER", "DBPASS", "DBROOT",
                                         "PASS", "PASSWORD", "SECRET", "TOKEN", "KEY", "PATH", "DIR", "IMAGE", "TAG", "VERSION", "SERVER", "ENDPOINT", "EMAIL", "NAME"})
      if (word == known || word.ends_with("PASS")) return true;
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return false;
}

/// "environment of 'app'" for items of a list, which have no name in the path.
std::string path_for_people(std::string_view path) {
  const auto item = path.find(".[]");
  if (item == std::string_view::npos || !path.starts_with("services.")) return std::string(path);
  path = path.substr(9, item - 9);
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string(path) : fmt::format("an item of {} of '{}'", path.substr(dot + 1), path.substr(0, dot));
}

/// Places of `${NAME:+...}` whose NAME is not set: what stands within them stands nowhere. Outermost ones, in order.
std::vector<Location> switched_off(const Input& input) {
  std::vector<Location> all, out;
  for (const auto& use : input.project.variables)
    if (use.form == compose::VariableUse::Form::alternative && !use.defined && use.where) all.push_back(use.where);
  std::ranges::sort(all, {}, [](const Location& one) { return std::pair(one.file, one.span); });
  for (const auto& one : all)
    if (out.empty() || out.back().file != one.file || out.back().span.end < one.span.end) out.push_back(one);
  return out;
}

bool within(const std::vector<Location>& places, const Location& where) {
  auto after = std::ranges::upper_bound(places, std::pair(where.file, where.span), {}, [](const Location& one) { return std::pair(one.file, one.span); });
  if (after == places.begin()) return false;
  --after;
  return after->file == where.file && after->span.begin < where.span.begin && after->span.end >= where.span.end;
}

/// Says where they are set instead, if they are.
void explain(Finding& finding, const std::set<std::string>& files, bool all) {
  if (files.empty()) return;
  const auto list = fmt::format("{}", fmt::join(files, ", "));
  if (const auto at = finding.message.find("defined nowhere"); all && at != std::string::npos) finding.message.replace(at, 15, fmt::format("defined in {} only", list));
  finding.evidence = fmt::format("set in {}, which an `env_file:` gives to containers; `${{...}}` is replaced from .env, the shell and `--env-file` only", list);
  finding.hint = files.size() == 1 ? fmt::format("move them to .env, or start with `--env-file {}`", list) : "move them to .env";
}

}  // namespace

extern constinit const Rule variable_undefined{
    .id = "DM0107",
    .name = "variable-undefined",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a variable is defined nowhere",
    .rationale = "Compose replaces an unset variable by nothing and goes on with a warning that scrolls away: a "
                 "blank password, a path that begins at the root.",
    .fix = "Define it in `.env`, name it in `.env.example`, or write `${NAME:?}` so that Compose stops.",
    .checks = "118",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_NAME: ${APP_DB_NAME}  # <- DM0107
  db:
    image: example/db:1.0
    env_file: db.env
    environment:
      PASSWORD: ${DB_PASSWORD}  # <- DM0107
-- db.env
DB_PASSWORD=s3t-f0r-the-container
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_NAME: ${APP_DB_NAME:-app}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_NAME: ${APP_DB_NAME}
      DB_USER: ${APP_DB_USER}
      ADMIN_URL: ${ADMIN_DOMAIN:+https://${ADMIN_DOMAIN}}
      MAIL_TOKEN: ${MAIL_TOEKN}
  db:
    image: example/db:1.0
    env_file: db.env
    environment:
      PASSWORD: ${DB_PASSWORD}
-- db.env
DB_PASSWORD=s3t-f0r-b0th
-- README.md
docker compose --env-file db.env up -d
-- .env.example
APP_DB_NAME=
MAIL_TOKEN=
-- configure.sh 0755
#!/bin/sh
cat > .env <<EOF
APP_DB_USER=app
EOF
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Blank> needed, optional;
          const auto off = switched_off(input);
          const auto unused = never_used(input);
          for (const auto& variable : input.wiring.variables) {
            if (variable.defined || variable.documented || variable.uses.empty()) continue;
            const compose::VariableUse* first = nullptr;
            bool guarded = false;
            for (const auto* use : variable.uses) {
              guarded = guarded || use->form == compose::VariableUse::Form::required;
              if (first == nullptr && use->form == compose::VariableUse::Form::plain && !within(off, use->where)) first = use;
            }
            if (first == nullptr || guarded || meant_by(unused, variable) != nullptr) continue;  // a slip of the pen is DM0112's
            (matters(variable.name, first->path) ? needed : optional).push_back({&variable, first});
          }
          // A file of `env_file:` sets them, which the author took for Compose's own.
          const auto elsewhere = [&](const std::vector<Blank>& blanks) {
            std::set<std::string> files;
            for (const auto& [variable, use] : blanks)
              for (const auto& place : variable->definitions) files.emplace(sources::relative_to(input.project.texts.at(place.file).path, input.project.folder));
            return files;
          };
          const auto say = [&](const std::vector<Blank>& blanks, Severity severity) {
            if (blanks.size() <= kMostSingle) {
              for (const auto& [variable, use] : blanks) {
                auto& finding = report.add(use->where, input.wiring.id_of(use->service), fmt::format("variable {} is defined nowhere, so {} is blank", variable->name, path_for_people(use->path)));
                finding.severity = severity;
                explain(finding, elsewhere({{variable, use}}), true);
              }
              return;
            }
            std::vector<Location> where;
            std::vector<ServiceId> ids;
            std::string names;
            for (std::size_t i = 0; i < blanks.size(); ++i) {
              where.push_back(blanks[i].use->where);
              if (const auto id = input.wiring.id_of(blanks[i].use->service); id != wiring::kNone && std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
              if (i < 20) names += (i == 0 ? "" : ", ") + blanks[i].variable->name;
            }
            if (blanks.size() > 20) names += fmt::format(" and {} more", blanks.size() - 20);
            auto message = fmt::format("{} variables are defined nowhere, so what they stand in is blank: {}", blanks.size(), names);
            auto& finding = report.add_all(std::move(where), std::move(ids), std::move(message));
            finding.severity = severity;
            explain(finding, elsewhere(blanks), std::ranges::all_of(blanks, [](const Blank& blank) { return !blank.variable->definitions.empty(); }));
          };
          say(needed, Severity::high);
          say(optional, Severity::medium);
        },
};

}  // namespace dm::audit::rules

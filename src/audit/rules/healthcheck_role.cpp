#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// The role of `psql -U ROLE`, "" where there is none, where it comes from a variable, or where another host is asked.
std::string psql_role(std::string_view command) {
  std::string role;
  bool psql = false;
  const auto parts = words(command);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& text = parts[i].text;
    psql = psql || text == "psql";
    if (!psql) continue;
    if ((text == "-U" || text == "--username") && i + 1 < parts.size()) role = parts[i + 1].text;
    else if (text.starts_with("--username=")) role = text.substr(11);
    else if (text.starts_with("-U")) role = text.substr(2);
    if (text.starts_with("-h") || text.starts_with("--host")) return {};
  }
  return role.find_first_of("$`") == std::string::npos ? role : std::string();
}

/// The role of `docker exec CONTAINER psql -U ROLE` (or `docker compose exec SERVICE`) for this service.
std::string exec_role(const ScriptCommand& command, const compose::Service& service) {
  const auto& list = command.words;
  const auto exec = std::ranges::find(list, std::string_view("exec"), &ScriptWord::text);
  if (list.size() < 4 || exec == list.end() || (list[0].text != "docker" && list[0].text != "docker-compose")) return {};
  const auto program = std::ranges::find(list, std::string_view("psql"), &ScriptWord::text);
  if (program == list.end() || program < exec) return {};
  const bool ours = std::any_of(exec, program, [&](const auto& word) { return word.text == service.name || (service.container_name && word.text == service.container_name.value); });
  if (!ours) return {};
  std::string rest;
  for (auto word = program; word != list.end() && word->text.find_first_of(" \"'") == std::string::npos; ++word) rest += word->text + " ";
  return psql_role(rest);
}

bool is_word(char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool names(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) return true;
  }
  return false;
}

/// The one role that the server has, "" where `role` may exist as well.
std::string_view only_role(const Input& input, ServiceId id, const compose::Service& service, std::string_view role) {
  if (role.empty() || service.env("POSTGRES_USER_FILE") != nullptr) return {};
  const auto* user = service.env("POSTGRES_USER");
  // Blank or from elsewhere: what it will be is not known here.
  if (user != nullptr && (user->value.value.empty() || user->value.node->is_null())) return {};
  if (user == nullptr && !service.env_files.empty()) return {};
  const auto exists = user == nullptr ? std::string_view("postgres") : user->value.value;
  if (role == exists) return {};
  for (const auto& mount : service.mounts) {
    // What cannot be read may create it.
    if (!mount.target.starts_with("/docker-entrypoint-initdb.d")) continue;
    if (std::ranges::none_of(input.wiring.config_files, [&](const auto& file) { return file.mount == &mount; })) return {};
  }
  for (const auto& file : input.wiring.config_files)
    if (file.service == id && names(input.project.texts.at(file.file).content, role)) return {};
  return exists;
}

}  // namespace

extern constinit const Rule healthcheck_role{
    .id = "DM0311",
    .name = "healthcheck-role",
    .severity = Severity::high,
    .area = Area::operations,
    .summary = "the healthcheck logs in as a role that does not exist",
    .rationale = "The image creates the role of `POSTGRES_USER` and no other, `postgres` neither. The check fails "
                 "for ever, and whatever waits for the database never starts.",
    .fix = "Use the role that exists: `psql -U \"$$POSTGRES_USER\"`.",
    .checks = "O1 O18",
    .bad = R"(services:
  db:
    image: postgres:16
    environment:
      POSTGRES_USER: admin
      POSTGRES_PASSWORD: ${DB_PASSWORD:?}
    healthcheck:
      test: [CMD-SHELL, "psql -U postgres -c 'SELECT 1'"]  # <- DM0311
-- watch.sh 0755
#!/bin/sh
docker compose exec -T db psql -U postgres -c "SELECT 1"  # <- DM0311
)",
    .good = R"(services:
  db:
    image: postgres:16
    environment:
      POSTGRES_USER: admin
      POSTGRES_PASSWORD: ${DB_PASSWORD:?}
    healthcheck:
      test: [CMD-SHELL, 'psql -U "$$POSTGRES_USER" -c "SELECT 1"']
)",
    .look_alike = R"(services:
  db:
    image: postgres:16
    environment:
      POSTGRES_PASSWORD: ${DB_PASSWORD:?}
    healthcheck:
      test: [CMD, psql, -U, postgres, -c, SELECT 1]
  other:
    image: postgres:16
    environment:
      POSTGRES_USER: admin
      POSTGRES_PASSWORD: ${DB_PASSWORD:?}
    volumes:
      - ./init.sql:/docker-entrypoint-initdb.d/init.sql:ro
    healthcheck:
      test: [CMD-SHELL, "psql -U probe admin -c 'SELECT 1'"]
-- init.sql
CREATE ROLE probe LOGIN;
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          const auto lines = script_lines(input);
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "postgres") return;
            for (const auto& line : lines) {
              if (line.text.find("psql") == std::string::npos) continue;
              for (const auto& command : commands(line.text)) {
                const auto role = exec_role(command, service);
                if (const auto exists = only_role(input, id, service, role); !role.empty() && !exists.empty())
                  report.add(line.place(command.words.front().at, command.words.back().at + command.words.back().size - command.words.front().at), id,
                             fmt::format("a script logs in to '{}' as {}, but only {} exists", service.name, role, exists));
              }
            }
            if (!service.healthcheck || service.healthcheck->disabled) return;
            const auto role = psql_role(health_command(service));
            const auto exists = only_role(input, id, service, role);
            if (role.empty() || exists.empty()) return;
            const auto* test = service.healthcheck->node->find("test");
            report.add(test != nullptr ? test->where : place(service, "healthcheck"), id,
                       fmt::format("the healthcheck of '{}' logs in as {}, but only {} exists", service.name, role, exists));
          });
        },
};

}  // namespace dm::audit::rules

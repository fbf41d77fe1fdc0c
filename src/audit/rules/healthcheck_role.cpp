#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"
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

bool is_word(char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool names(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) return true;
  }
  return false;
}

}  // namespace

constinit const Rule healthcheck_role{
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
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "postgres") return;
            if (!service.healthcheck || service.healthcheck->disabled) return;
            const auto role = psql_role(health_command(service));
            if (role.empty() || service.env("POSTGRES_USER_FILE") != nullptr) return;
            const auto* user = service.env("POSTGRES_USER");
            // Blank or from elsewhere: what it will be is not known here.
            if (user != nullptr && (user->value.value.empty() || user->value.node->is_null())) return;
            if (user == nullptr && !service.env_files.empty()) return;
            const auto exists = user == nullptr ? std::string_view("postgres") : user->value.value;
            if (role == exists) return;
            bool created = false;
            for (const auto& mount : service.mounts) {
              // What cannot be read may create it.
              if (!mount.target.starts_with("/docker-entrypoint-initdb.d")) continue;
              const auto of_mount = [&](const auto& file) { return file.mount == &mount; };
              created = created || std::ranges::none_of(input.wiring.config_files, of_mount);
            }
            for (const auto& file : input.wiring.config_files)
              created = created || (file.service == id && names(input.project.texts.at(file.file).content, role));
            if (created) return;
            const auto* test = service.healthcheck->node->find("test");
            report.add(test != nullptr ? test->where : place(service, "healthcheck"), id,
                       fmt::format("the healthcheck of '{}' logs in as {}, but only {} exists", service.name, role,
                                   exists));
          });
        },
};

}  // namespace dm::audit::rules

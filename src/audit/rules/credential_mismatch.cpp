#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

struct Account {
  std::string_view user, password, by_default;  ///< variables of the image; the user where the first is not set
};
constexpr Account kAccounts[] = {{"POSTGRES_USER", "POSTGRES_PASSWORD", "postgres"},
                                 {"MYSQL_USER", "MYSQL_PASSWORD", ""},
                                 {"MARIADB_USER", "MARIADB_PASSWORD", ""},
                                 {"-", "MYSQL_ROOT_PASSWORD", "root"},
                                 {"-", "MARIADB_ROOT_PASSWORD", "root"}};

const compose::EnvVar* first_of(const compose::Service& service, std::string_view prefix, std::initializer_list<std::string_view> ends) {
  for (const auto end : ends)
    if (const auto* found = service.env(std::string(prefix) + std::string(end)); found != nullptr) return found;
  return nullptr;
}

}  // namespace

extern constinit const Rule credential_mismatch{
    .id = "DM0506",
    .name = "credential-mismatch",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "client and database have different passwords for one user",
    .rationale = "The client logs in as a user that the database was set up with, but with another password: "
                 "every connection is refused.",
    .fix = "Use one variable on both sides.",
    .checks = "121",
    .bad = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: "${DB_PASSWORD}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: example/web:1
    environment:
      DB_HOST: db
      DB_USER: app
      DB_PASSWORD: ${APP_PASSWORD}  # <- DM0506
volumes: {pg: }
-- .env
DB_PASSWORD=one
APP_PASSWORD=two
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: "${DB_PASSWORD}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: example/web:1
    environment:
      DB_HOST: db
      DB_USER: app
      DB_PASSWORD: ${DB_PASSWORD}
volumes: {pg: }
-- .env
DB_PASSWORD=one
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: "${DB_PASSWORD}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: example/web:1
    environment:
      DB_HOST: db
      DB_USER: reader
      DB_PASSWORD: ${READER_PASSWORD}
      ADMIN_PASSWORD: ${ADMIN_PASSWORD}
volumes: {pg: }
-- .env
DB_PASSWORD=one
READER_PASSWORD=two
ADMIN_PASSWORD=three
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& reference : input.wiring.references) {
            if (reference.to == wiring::kNone || reference.via != wiring::Reference::Via::environment || !reference.key.ends_with("HOST")) continue;
            if (input.wiring.datastore(reference.to) == nullptr) continue;
            const auto& client = input.wiring.service(reference.from);
            const auto& server = input.wiring.service(reference.to);
            const auto prefix = reference.key.substr(0, reference.key.size() - 4);
            const auto* user = first_of(client, prefix, {"USER", "USERNAME", "USER_NAME"});
            const auto* password = first_of(client, prefix, {"PASSWORD", "PASS", "PASSWD"});
            if (user == nullptr || password == nullptr || user->value.value.empty() || password->value.value.empty()) continue;
            for (const auto& account : kAccounts) {
              const auto* owner = server.env(account.user);
              const auto* secret = server.env(account.password);
              const auto name = owner != nullptr ? owner->value.value : account.by_default;
              if (secret == nullptr || secret->value.value.empty() || name.empty() || name != user->value.value) continue;
              if (secret->value.value == password->value.value) continue;
              report.add(password->value.where(), reference.from,
                         fmt::format("{} of '{}' is not the password that '{}' has for this user ({})", password->name, client.name, server.name, account.password),
                         fmt::format("{} and {} differ", password->name, account.password));
            }
          }
        },
};

}  // namespace dm::audit::rules

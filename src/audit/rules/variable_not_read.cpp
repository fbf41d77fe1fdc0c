#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Variables that are written for an image again and again, and that it does not know.
struct Unread {
  std::string_view product, name;
  std::string_view meant;  ///< the variable that it reads; "" = none does that
};
constexpr Unread kUnread[] = {{"postgres", "POSTGRES_DATABASE", "POSTGRES_DB"},
                              {"postgres", "POSTGRES_USERNAME", "POSTGRES_USER"},
                              {"postgres", "POSTGRES_PASS", "POSTGRES_PASSWORD"},
                              {"mysql", "MYSQL_DB", "MYSQL_DATABASE"},
                              {"mysql", "MYSQL_USERNAME", "MYSQL_USER"},
                              {"mysql", "MYSQL_PASS", "MYSQL_PASSWORD"},
                              {"mariadb", "MARIADB_DB", "MARIADB_DATABASE"},
                              {"mariadb", "MARIADB_USERNAME", "MARIADB_USER"},
                              {"mongodb", "MONGO_INITDB_USERNAME", "MONGO_INITDB_ROOT_USERNAME"},
                              {"mongodb", "MONGO_INITDB_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD"},
                              {"redis", "REDIS_PASSWORD", ""},
                              {"redis", "REQUIREPASS", ""},
                              {"valkey", "VALKEY_PASSWORD", ""},
                              {"valkey", "REDIS_PASSWORD", ""}};

/// `POSTGRES_DATABASE: app` beside `POSTGRES_USER: app`: without POSTGRES_DB the database is called after the user.
bool by_default(const compose::Service& service, const compose::EnvVar& variable) {
  const auto* user = service.env("POSTGRES_USER");
  if (variable.name == "POSTGRES_DATABASE") return variable.value.value == (user != nullptr ? user->value.value : std::string_view("postgres"));
  return variable.name == "POSTGRES_USERNAME" && variable.value.value == "postgres";
}

}  // namespace

extern constinit const Rule variable_not_read{
    .id = "DM0127",
    .name = "variable-not-read",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "a variable that the image does not know",
    .rationale = "The entrypoint looks for other names and passes this one by without a word: the database or the user is not made, and Redis, whose official image "
                 "reads no variable at all, has no password.",
    .fix = "Write the name that the image reads. Redis and Valkey: `command: redis-server --requirepass ...`, better a file of settings that holds it.",
    .checks = "118",
    .bad = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      POSTGRES_DATABASE: shop  # <- DM0127
    volumes: ["pg:/var/lib/postgresql/data"]
  cache:
    image: redis:7.4
    environment:
      REDIS_PASSWORD: ${REDIS_PASSWORD:?}  # <- DM0127
volumes: {pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      POSTGRES_DB: shop
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      POSTGRES_DB: shop
      POSTGRES_DATABASE: shop
    volumes: ["pg:/var/lib/postgresql/data"]
  cache:
    image: redis:7.4
    command: sh -c 'redis-server --requirepass "$$REDIS_PASSWORD"'
    environment:
      REDIS_PASSWORD: ${REDIS_PASSWORD:?}
  other:
    image: bitnamilegacy/redis:7.4
    environment:
      REDIS_PASSWORD: ${REDIS_PASSWORD:?}
  scripted:
    image: redis:7.4
    command: sh /start.sh
    environment: {REDIS_PASSWORD: "${REDIS_PASSWORD:?}"}
  flags:
    image: valkey/valkey:8
    environment: {VALKEY_PASSWORD: "${REDIS_PASSWORD:?}", VALKEY_EXTRA_FLAGS: "--requirepass ${REDIS_PASSWORD:?}"}
  shared:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_DATABASE: app, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["shared:/var/lib/postgresql/data"]
  first:
    image: mysql:8.4
    environment: {MYSQL_DB: shop, MYSQL_ROOT_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["first:/var/lib/mysql", "./init.sh:/docker-entrypoint-initdb.d/init.sh:ro"]
volumes: {first: , pg: , shared: }
-- init.sh
mysql -e "create database $MYSQL_DB"
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || service.build != nullptr || service.entrypoint_node != nullptr) return;
            for (const auto& unread : kUnread) {
              if (unread.product != product->id) continue;
              const auto* variable = service.env(unread.name);
              // A script of the first start may read it; who gives the default says nothing that is not so.
              const bool scripts = std::ranges::any_of(service.mounts, [](const auto& mount) { return mount.target.starts_with("/docker-entrypoint-initdb.d"); });
              if (variable == nullptr || (scripts && !unread.meant.empty()) || by_default(service, *variable) || variable->from_env_file || (variable->value.value.empty() && is_literal(*variable->value.node))) continue;
              if (unread.meant.empty()) {
                if (!asks_no_password(input, id)) continue;  // a command, or a file, sets one
                report.add(variable->where, id, fmt::format("'{}' has no password: the image of {} does not read {}", service.name, product->name, unread.name)).severity = Severity::high;
              } else if (service.env(unread.meant) == nullptr && service.env(std::string(unread.meant) + "_FILE") == nullptr) {
                report.add(variable->where, id, fmt::format("the image of {} does not read {} of '{}'", product->name, unread.name, service.name), "", fmt::format("write {}", unread.meant));
              }
            }
          });
        },
};

}  // namespace dm::audit::rules

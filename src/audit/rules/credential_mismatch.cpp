#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <set>

#include "audit/rules/env_file_known.hpp"
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

/// The server asks every client for a password: what it is given says so.
bool asks(const Input& input, const wiring::Datastore& store) {
  const auto& service = input.wiring.service(store.service);
  if (service.build != nullptr || service.entrypoint_node != nullptr) return false;
  const auto set = [&](std::string_view name) {
    const auto* variable = service.env(name);
    return variable != nullptr && !variable->value.value.empty();
  };
  const auto id = std::string_view(store.product->id);
  if (id == "mongodb") {
    const bool off = std::ranges::any_of(service.command, [](const auto& word) { return word.value.find("noauth") != std::string_view::npos; });
    return !off && set("MONGO_INITDB_ROOT_USERNAME") && set("MONGO_INITDB_ROOT_PASSWORD");
  }
  if (id == "bitnami-redis") return set("REDIS_PASSWORD");
  if (id != "redis" && id != "valkey") return false;
  for (std::size_t i = 0; i < service.command.size(); ++i) {
    const std::string_view word = service.command[i].value;
    const auto at = word.find("--requirepass");
    if (at == std::string_view::npos) continue;
    auto rest = word.substr(at + std::string_view("--requirepass").size());
    rest.remove_prefix(std::min(rest.find_first_not_of(" ="), rest.size()));
    if (rest.empty() && i + 1 < service.command.size()) rest = service.command[i + 1].value;
    while (!rest.empty() && (rest[0] == '"' || rest[0] == '\'')) rest.remove_prefix(1);
    if (rest.starts_with("$")) {
      rest.remove_prefix(rest.starts_with("${") ? 2 : 1);
      return set(rest.substr(0, rest.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789abcdefghijklmnopqrstuvwxyz")));
    }
    return !rest.empty() && rest[0] != '-';
  }
  return false;
}

/// redis://cache:6379/0, mongodb://db/shop: nobody is named before the host.
bool without_password(std::string_view url) {
  bool known = false;
  for (const std::string_view scheme : {"redis://", "rediss://", "valkey://", "mongodb://"}) known = known || url.starts_with(scheme);
  if (!known) return false;
  const auto rest = url.substr(url.find("://") + 3);
  return rest.substr(0, rest.find_first_of("/?")).find('@') == std::string_view::npos && url.find("password") == std::string_view::npos && url.find("authMechanism") == std::string_view::npos;
}

/// The client may have it from elsewhere: a variable of its own, a secret, a file.
bool may_have_password(const Input& input, const compose::Service& client) {
  if (!client.secrets.empty() || !client.configs.empty() || std::ranges::any_of(client.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); })) return true;
  return std::ranges::any_of(client.environment, [](const auto& variable) {
    const std::string_view name = variable.name;
    const bool secret = name.find("PASS") != std::string_view::npos || name.find("AUTH") != std::string_view::npos || name.find("PWD") != std::string_view::npos;
    const bool of_store = name.find("REDIS") != std::string_view::npos || name.find("VALKEY") != std::string_view::npos || name.find("MONGO") != std::string_view::npos || name.find("CACHE") != std::string_view::npos ||
                          name.find("BROKER") != std::string_view::npos || name.find("QUEUE") != std::string_view::npos;
    return secret && (of_store || name.find('_') == std::string_view::npos) && !variable.value.value.empty();
  });
}

/// Clients that come without a password to a server that asks for one.
void find_without_password(const Input& input, Report& report) {
  std::set<Location> seen;
  for (const auto& reference : input.wiring.references) {
    if (reference.to == wiring::kNone || reference.to == reference.from || reference.via != wiring::Reference::Via::environment) continue;
    const auto* store = input.wiring.datastore(reference.to);
    if (store == nullptr || input.wiring.datastore(reference.from) != nullptr) continue;
    const auto& client = input.wiring.service(reference.from);
    const auto* variable = client.env(reference.key);
    if (variable == nullptr || !without_password(variable->value.value) || !asks(input, *store) || may_have_password(input, client)) continue;
    const auto where = variable->value.where() ? variable->value.where() : variable->where;
    if (!seen.insert(where).second) continue;
    report.add(where, reference.from, fmt::format("{} of '{}' has no password, and '{}' asks for one", reference.key, client.name, input.wiring.service(reference.to).name));
  }
}

}  // namespace

extern constinit const Rule credential_mismatch{
    .id = "DM0506",
    .name = "credential-mismatch",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a client without the password of its database, or with another",
    .rationale = "The client logs in as a user that the database was set up with, but with another password, or names none where one is asked for: "
                 "every connection, or every command, is refused.",
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
  cache:
    image: redis:7.4
    command: redis-server --requirepass ${DB_PASSWORD}
    volumes: ["cache:/data"]
  docs:
    image: mongo:8.0
    environment: {MONGO_INITDB_ROOT_USERNAME: root, MONGO_INITDB_ROOT_PASSWORD: "${DB_PASSWORD}"}
    volumes: ["docs:/data/db"]
  worker:
    image: example/worker:1
    environment:
      REDIS_URL: redis://cache:6379/0  # <- DM0506
      MONGO_URI: mongodb://docs:27017/shop  # <- DM0506
volumes: {cache: , docs: , pg: }
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
  cache:
    image: redis:7.4
    command: ["redis-server", "--requirepass", "${DB_PASSWORD}"]
    volumes: ["cache:/data"]
  open:
    image: redis:7.4
    command: redis-server --requirepass ""
    volumes: ["open:/data"]
  blank:
    image: redis:7.4
    command: sh -c 'redis-server --requirepass "$$REDIS_PASSWORD"'
    volumes: ["blank:/data"]
  worker:
    image: example/worker:1
    environment: {REDIS_URL: "redis://cache:6379/0", REDIS_PASSWORD: "${DB_PASSWORD}"}
  named:
    image: example/worker:1
    environment: {REDIS_URL: "redis://:${DB_PASSWORD}@cache:6379/0", OPEN_URL: "redis://open:6379", BLANK_URL: "redis://blank:6379"}
volumes: {blank: , cache: , open: , pg: }
-- .env
DB_PASSWORD=one
READER_PASSWORD=two
ADMIN_PASSWORD=three
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          find_without_password(input, report);
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

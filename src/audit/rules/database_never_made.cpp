#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "audit/rules/env_file_known.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// Every part of the value is known.
bool known(const compose::Value& value) {
  return value.is_string() && (value.segments == nullptr || std::ranges::none_of(*value.segments, [](const compose::Segment& segment) {
           return segment.kind == compose::Segment::Kind::variable && !segment.defined;
         }));
}

/// "shop" of postgres://u:p@db:5432/shop?sslmode=off and of u:p@tcp(db:3306)/shop; "" where no database is named.
std::string_view database_of_url(std::string_view url) {
  const auto start = url.find("://");
  if (start == std::string_view::npos) return {};
  auto rest = url.substr(start + 3);
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return {};
  rest.remove_prefix(slash + 1);
  return rest.substr(0, rest.find_first_of("?;&#, "));
}

bool sql_scheme(std::string_view url) {
  auto scheme = url.substr(0, url.find("://"));
  if (const auto colon = scheme.rfind(':'); colon != std::string_view::npos) scheme.remove_prefix(colon + 1);
  scheme = scheme.substr(0, scheme.find('+'));
  static constexpr std::array kSchemes{"postgres", "postgresql", "pgsql", "postgis", "mysql", "mysql2", "mariadb"};
  return std::ranges::find(kSchemes, scheme) != kSchemes.end();
}

/// The variable beside X_HOST that names the database.
const compose::EnvVar* name_beside(const compose::Service& service, std::string_view host_variable) {
  static constexpr std::array kUpper{"NAME", "DATABASE", "DB", "DBNAME", "DB_NAME", "DATABASE_NAME"};
  static constexpr std::array kLower{"name", "database", "db", "dbname"};
  const bool upper = host_variable.ends_with("HOST");
  if (!upper && !host_variable.ends_with("host")) return nullptr;
  const auto prefix = std::string(host_variable.substr(0, host_variable.size() - 4));
  const compose::EnvVar* out = nullptr;
  const auto look = [&](const auto& ends) {
    for (const auto* end : ends)
      if (const auto* found = service.env(prefix + end); out == nullptr && found != nullptr) out = found;
  };
  upper ? look(kUpper) : look(kLower);
  return out;
}

/// A server whose image makes database and user of variables that are known here, in a volume that nobody else has filled.
bool made_by_variables(const Input& input, const wiring::Datastore& store) {
  const auto& server = input.wiring.service(store.service);
  const auto id = store.product->id;
  if ((id != "postgres" && id != "mysql" && id != "mariadb") || server.build != nullptr) return false;
  if (product::split_image(server.image.value).repository.starts_with("supabase/")) return false;  // brings scripts of its own
  if (std::ranges::any_of(server.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); })) return false;
  if (store.mount == nullptr || store.mount->type != compose::Mount::Type::volume) return true;
  const auto* volume = input.project.volume(store.mount->source);
  return volume == nullptr || !volume->external;
}

/// Adds the variable's value; false where it is not known.
bool take(const compose::Service& server, std::string_view name, std::set<std::string_view>& out) {
  const auto* variable = server.env(name);
  if (variable == nullptr) return true;
  if (!known(*variable->value.node)) return false;
  if (!variable->value.value.empty()) out.insert(variable->value.value);
  return true;
}

/// Databases that the image makes of its variables; nothing where more than these may make one.
std::optional<std::set<std::string_view>> made(const Input& input, const wiring::Datastore& store) {
  const auto& server = input.wiring.service(store.service);
  if (!made_by_variables(input, store)) return {};
  const auto runs_scripts = [](std::string_view target) { return target.starts_with("/docker-entrypoint-initdb.d"); };
  if (std::ranges::any_of(server.mounts, [&](const auto& mount) { return runs_scripts(mount.target); })) return {};
  if (std::ranges::any_of(server.configs, [&](const auto& config) { return runs_scripts(config.target); })) return {};
  std::set<std::string_view> out;
  if (store.product->id == "postgres") {
    if (!take(server, "POSTGRES_DB", out)) return {};
    if (out.empty() && !take(server, "POSTGRES_USER", out)) return {};
    out.insert({"postgres", "template1"});
  } else {
    if (!take(server, "MYSQL_DATABASE", out) || !take(server, "MARIADB_DATABASE", out)) return {};
    out.insert({"mysql", "information_schema"});
  }
  return out;
}

/// "app" of postgres://app:secret@db/shop; "" where none is named, or one in a form that is not plain.
std::string_view user_of_url(std::string_view url) {
  auto rest = url.substr(url.find("://") + 3);
  const auto at = rest.substr(0, rest.find('/')).rfind('@');
  if (at == std::string_view::npos) return {};
  rest = rest.substr(0, at);
  return rest.substr(0, rest.find(':'));
}

/// The variable beside X_HOST that names the user.
const compose::EnvVar* user_beside(const compose::Service& service, std::string_view host_variable) {
  if (!host_variable.ends_with("HOST")) return nullptr;
  const auto prefix = std::string(host_variable.substr(0, host_variable.size() - 4));
  for (const auto* end : {"USERNAME", "USER", "USER_NAME", "DB_USER"})
    if (const auto* found = service.env(prefix + end); found != nullptr) return found;
  return nullptr;
}

bool makes_users(std::string_view said) {
  static constexpr std::array kWords{"create user", "create role", "createuser", "create_user", "identified by", "create login", "\\i ", "\\ir ", "\\include", "pg_restore", "source /", "psql -f", "-f /", "< /", "curl ", "wget "};
  const auto text = lowered(said);
  return std::ranges::any_of(kWords, [&](const char* word) { return text.find(word) != std::string::npos; });
}

/// Who may sign in after the first start, as far as the image makes users of its variables; nothing where something else may make one.
std::optional<std::set<std::string_view>> users(const Input& input, const wiring::Datastore& store) {
  const auto& server = input.wiring.service(store.service);
  if (!made_by_variables(input, store) || server.entrypoint_node != nullptr || !server.configs.empty() || !server.volumes_from.empty()) return {};
  for (const auto& mount : server.mounts) {
    if (!mount.target.starts_with("/docker-entrypoint-initdb.d")) continue;
    if (mount.type != compose::Mount::Type::bind) return {};
    const auto source = std::string(mount.source);
    std::size_t wanted = 1, read = 0;
    if (input.files.stat(source).kind == sources::Kind::directory) wanted = input.files.list(source).size();
    for (const auto& config : config_files_of(input, store.service)) {
      if (config.mount != &mount || config.file == sources::kNoFile || (!config.path.ends_with(".sql") && !config.path.ends_with(".sh"))) continue;
      if (makes_users(input.project.texts.at(config.file).content)) return {};
      ++read;
    }
    if (read != wanted) return {};  // packed, too large, or not here
  }
  std::set<std::string_view> out;
  if (store.product->id == "postgres") {
    if (server.env("POSTGRES_USER_FILE") != nullptr || !take(server, "POSTGRES_USER", out)) return {};
    if (out.empty()) out.insert("postgres");
  } else {
    if (server.env("MYSQL_USER_FILE") != nullptr || server.env("MARIADB_USER_FILE") != nullptr || !take(server, "MYSQL_USER", out) || !take(server, "MARIADB_USER", out)) return {};
    out.insert("root");
  }
  return out;
}

/// A script, a command or a text beside makes users, by hand or by itself.
bool users_made_elsewhere(const Input& input) {
  for (const auto& service : input.project.services)
    for (const auto* words : {&service.command, &service.entrypoint})
      for (const auto& word : *words)
        if (const auto text = lowered(word.value); text.find("create user") != std::string::npos || text.find("create role") != std::string::npos || text.find("createuser") != std::string::npos) return true;
  const auto speaks = [](std::string_view said) {
    const auto text = lowered(said);
    return text.find("create user") != std::string::npos || text.find("create role") != std::string::npos || text.find("createuser") != std::string::npos;
  };
  const auto lines = script_lines(input);
  return std::ranges::any_of(lines, [&](const auto& line) { return speaks(line.text); }) || speaks(texts_beside(input));
}

/// Clients that sign in as somebody whom nothing makes.
void find_unmade_users(const Input& input, Report& report) {
  std::map<ServiceId, std::optional<std::set<std::string_view>>> made_users;
  std::set<const compose::Value*> seen;
  std::optional<bool> elsewhere;
  struct Unmade {
    std::vector<Location> where;
    std::vector<ServiceId> clients;
  };
  std::map<std::pair<ServiceId, std::string_view>, Unmade> unmade;  // one name on one server is one mistake
  for (const auto& reference : input.wiring.references) {
    if (reference.to == wiring::kNone || reference.via != wiring::Reference::Via::environment) continue;
    const auto* store = input.wiring.datastore(reference.to);
    if (store == nullptr || input.wiring.datastore(reference.from) != nullptr) continue;
    const auto& client = input.wiring.service(reference.from);
    const auto* variable = client.env(reference.key);
    if (variable == nullptr) continue;
    const bool url = variable->value.value.find("://") != std::string_view::npos;
    if (url && !sql_scheme(variable->value.value)) continue;
    const auto* holder = url ? variable : user_beside(client, reference.key);
    if (holder == nullptr || !known(*holder->value.node) || !seen.insert(holder->value.node).second) continue;
    const auto name = url ? user_of_url(holder->value.value) : holder->value.value;
    if (name.empty() || name.find_first_of("${}/ %<>") != std::string_view::npos) continue;
    const auto [at, fresh] = made_users.try_emplace(reference.to);
    if (fresh) at->second = users(input, *store);
    if (!at->second || at->second->contains(name)) continue;
    if (!elsewhere) elsewhere = users_made_elsewhere(input);
    if (*elsewhere) return;
    auto& one = unmade[{reference.to, name}];
    one.where.push_back(holder->value.where() ? holder->value.where() : holder->where);
    if (std::ranges::find(one.clients, reference.from) == one.clients.end()) one.clients.push_back(reference.from);
  }
  for (auto& [key, one] : unmade) {
    std::string list;
    for (const auto made_one : *made_users[key.first]) list += fmt::format("{}{}", list.empty() ? "" : ", ", made_one);
    auto message = fmt::format("{} {} in as '{}' on '{}', whom nothing in the files makes", quoted_names(input, one.clients), one.clients.size() == 1 ? "signs" : "sign", key.second, input.wiring.service(key.first).name);
    auto& finding = report.add_all(std::move(one.where), std::move(one.clients), std::move(message), fmt::format("the image makes {}", list));
    finding.hint = "Give the client the user of the server's variables, or make it in a script at /docker-entrypoint-initdb.d.";
    finding.severity = Severity::high;
  }
}

struct Wish {
  std::string_view database;
  ServiceId client = wiring::kNone;
  Location where;
};

/// A script, a command or a target of a Makefile makes databases: which ones is not told from here.
bool made_elsewhere(const Input& input) {
  static constexpr std::array kWords{"create database", "createdb", "db:create", "db:prepare", "db:setup", "database:create", "mysql-create"};
  const auto speaks = [&](std::string_view said) {
    const auto text = lowered(said);
    return std::ranges::any_of(kWords, [&](const char* word) { return text.find(word) != std::string::npos; });
  };
  for (const auto& service : input.project.services)
    for (const auto* words : {&service.command, &service.entrypoint})
      if (std::ranges::any_of(*words, [&](const auto& word) { return speaks(word.value); })) return true;
  const auto lines = script_lines(input);
  return std::ranges::any_of(lines, [&](const auto& line) { return speaks(line.text); }) || speaks(texts_beside(input));
}

}  // namespace

extern constinit const Rule database_never_made{
    .id = "DM0131",
    .name = "database-never-made",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "a client wants a database or a user that nothing in the files makes",
    .rationale = "The images of PostgreSQL, MySQL and MariaDB make one database, the one in their variable, and only on the first start. A client of "
                 "another one is refused with `database does not exist`, unless it makes it itself. They make one user likewise: who signs in under another name is "
                 "refused with `password authentication failed`.",
    .fix = "Mount a script at /docker-entrypoint-initdb.d that makes every database (it runs only while the data folder is empty), or "
           "give each client a server of its own.",
    .checks = "O2 O31",
    .bad = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: lab, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  git:
    image: gitea/gitea:1.22
    environment:
      GITEA__database__HOST: db:5432
      GITEA__database__NAME: gitea  # <- DM0131
  wiki:
    image: example/wiki:1
    environment:
      DATABASE_URL: postgres://lab:${DB_PASSWORD:?}@db:5432/wiki  # <- DM0131
  shop-db:
    image: postgres:17
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["shop:/var/lib/postgresql/data", "./tables.sql:/docker-entrypoint-initdb.d/tables.sql:ro"]
  shop:
    image: example/shop:1
    environment:
      DB_HOST: shop-db
      DB_USERNAME: laravel  # <- DM0131
volumes: {pg: , shop: }
-- tables.sql
CREATE TABLE goods (id int);
GRANT ALL ON goods TO shop;
-- .env
DB_PASSWORD=sunflower
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: lab, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes:
      - pg:/var/lib/postgresql/data
      - ./databases.sql:/docker-entrypoint-initdb.d/databases.sql:ro
  wiki:
    image: example/wiki:1
    environment:
      DATABASE_URL: postgres://lab:${DB_PASSWORD:?}@db:5432/wiki
volumes: {pg: }
-- .env
DB_PASSWORD=sunflower
-- databases.sql
CREATE DATABASE wiki;
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: wiki, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  shop-db:
    image: mariadb:11.4
    environment: {MARIADB_DATABASE: shop, MARIADB_ROOT_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["my:/var/lib/mysql"]
  wiki:
    image: example/wiki:1
    environment:
      DATABASE_URL: postgres://wiki:${DB_PASSWORD:?}@db:5432/wiki?sslmode=disable
      ADMIN_URL: postgres://wiki:${DB_PASSWORD:?}@db:5432/postgres
      OTHER_URL: postgres://wiki:${DB_PASSWORD:?}@db:5432/${UNKNOWN}
      CACHE_URL: redis://db/0
  shop:
    image: example/shop:1
    environment: {DB_HOST: shop-db, DB_NAME: shop, DSN: "mysql://root:x@tcp(shop-db:3306)/shop"}
  crm-db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["crm:/var/lib/postgresql/data"]
  crm:
    image: example/makes-its-own:1
    environment: {DATABASE_URL: "postgres://postgres:${DB_PASSWORD:?}@crm-db/crm"}
  users-db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["users:/var/lib/postgresql/data", "./users.sql:/docker-entrypoint-initdb.d/users.sql:ro", "./rest.sql.gz:/docker-entrypoint-initdb.d/rest.sql.gz:ro"]
  users:
    image: example/users:1
    environment: {DB_HOST: users-db, DB_USER: reader, DB_NAME: postgres}
volumes: {pg: , my: , crm: , users: }
-- users.sql
CREATE TABLE users (id int);
-- .env
DB_PASSWORD=sunflower
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          find_unmade_users(input, report);
          // By server, in the order of the files: who wants which database, and where it says so.
          std::map<ServiceId, std::vector<Wish>> wishes;
          std::set<const compose::Value*> seen;
          for (const auto& reference : input.wiring.references) {
            if (reference.to == wiring::kNone || reference.via != wiring::Reference::Via::environment) continue;
            if (input.wiring.datastore(reference.to) == nullptr) continue;
            const auto& client = input.wiring.service(reference.from);
            const auto* variable = client.env(reference.key);
            if (variable == nullptr) continue;
            const bool url = variable->value.value.find("://") != std::string_view::npos;
            if (url && !sql_scheme(variable->value.value)) continue;
            const auto* holder = url ? variable : name_beside(client, reference.key);
            if (holder == nullptr || !known(*holder->value.node) || !seen.insert(holder->value.node).second) continue;
            const auto name = url ? database_of_url(holder->value.value) : holder->value.value;
            if (name.empty() || name.find_first_of("${}/ ") != std::string_view::npos) continue;
            wishes[reference.to].push_back({name, reference.from, holder->value.where()});
          }
          std::optional<bool> elsewhere;
          for (const auto& [server, list] : wishes) {
            // Many a program makes the one database of a server of its own; on a shared one somebody else has to.
            if (std::ranges::all_of(list, [first = list.front().database](const Wish& wish) { return wish.database == first; })) continue;
            const auto has = made(input, *input.wiring.datastore(server));
            if (!has) continue;
            std::string makes;
            for (const auto one : *has)
              if (one != "template1" && one != "mysql" && one != "information_schema") makes += fmt::format("{}{}", makes.empty() ? "" : ", ", one);
            for (const auto& wish : list) {
              if (has->contains(wish.database)) continue;
              if (!elsewhere) elsewhere = made_elsewhere(input);
              if (*elsewhere) return;
              report.add(wish.where, wish.client,
                         fmt::format("'{}' wants the database '{}' on '{}', which nothing in the files makes",
                                     input.wiring.service(wish.client).name, wish.database, input.wiring.service(server).name),
                         makes.empty() ? "the image makes none without its variable" : fmt::format("the image makes {}", makes));
            }
          }
        },
};

}  // namespace dm::audit::rules

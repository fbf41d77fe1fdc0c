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

/// Databases that the image makes of its variables; nothing where more than these may make one.
std::optional<std::set<std::string_view>> made(const Input& input, const wiring::Datastore& store) {
  const auto& server = input.wiring.service(store.service);
  const auto id = store.product->id;
  if ((id != "postgres" && id != "mysql" && id != "mariadb") || server.build != nullptr) return {};
  if (product::split_image(server.image.value).repository.starts_with("supabase/")) return {};  // brings scripts of its own
  const auto runs_scripts = [](std::string_view target) { return target.starts_with("/docker-entrypoint-initdb.d"); };
  if (std::ranges::any_of(server.mounts, [&](const auto& mount) { return runs_scripts(mount.target); })) return {};
  if (std::ranges::any_of(server.configs, [&](const auto& config) { return runs_scripts(config.target); })) return {};
  if (std::ranges::any_of(server.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); })) return {};
  if (store.mount != nullptr && store.mount->type == compose::Mount::Type::volume) {
    const auto* volume = input.project.volume(store.mount->source);
    if (volume != nullptr && volume->external) return {};  // filled by somebody else
  }
  std::set<std::string_view> out;
  const auto take = [&](std::string_view name) {
    const auto* variable = server.env(name);
    if (variable == nullptr) return true;
    if (!known(*variable->value.node)) return false;
    if (!variable->value.value.empty()) out.insert(variable->value.value);
    return true;
  };
  if (id == "postgres") {
    if (!take("POSTGRES_DB")) return {};
    if (out.empty() && !take("POSTGRES_USER")) return {};
    out.insert({"postgres", "template1"});
  } else {
    if (!take("MYSQL_DATABASE") || !take("MARIADB_DATABASE")) return {};
    out.insert({"mysql", "information_schema"});
  }
  return out;
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
    .summary = "a client wants a database that nothing in the files makes",
    .rationale = "The images of PostgreSQL, MySQL and MariaDB make one database, the one in their variable, and only on the first start. A client of "
                 "another one is refused with `database does not exist`, unless it makes it itself.",
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
volumes: {pg: }
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
volumes: {pg: , my: , crm: }
-- .env
DB_PASSWORD=sunflower
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
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

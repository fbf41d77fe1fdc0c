#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/env_file_known.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Something makes its databases with collation C, or may: an argument, a locale of the image, a script of the first start.
bool may_be_c(const Input& input, const compose::Service& service) {
  for (const auto name : {"POSTGRES_INITDB_ARGS", "LANG", "LC_ALL", "LC_COLLATE"})
    if (const auto* variable = service.env(name); variable != nullptr) {
      const auto value = variable->value.value;
      if (value.find("collate") != std::string_view::npos || value.find("locale") != std::string_view::npos || value == "C" || value.starts_with("C.")) return true;
    }
  return service.build != nullptr || service.entrypoint_node != nullptr || std::ranges::any_of(service.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); }) ||
         std::ranges::any_of(service.mounts, [](const auto& mount) { return mount.target.starts_with("/docker-entrypoint-initdb.d"); }) ||
         std::ranges::any_of(service.configs, [](const auto& config) { return config.target.starts_with("/docker-entrypoint-initdb.d"); });
}

/// Its own file takes any collation, or another kind of database.
bool takes_any(const Input& input, ServiceId id) {
  return std::ranges::any_of(config_files_of(input, id), [&](const auto& config) {
    if (config.file == sources::kNoFile || !config.path.ends_with("homeserver.yaml")) return false;
    const auto& text = input.project.texts.at(config.file).content;
    return text.find("allow_unsafe_locale: true") != std::string::npos || text.find("name: sqlite3") != std::string::npos;
  });
}

}  // namespace

extern constinit const Rule synapse_locale{
    .id = "DM0138",
    .name = "synapse-locale",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "Synapse refuses the collation that its PostgreSQL is made with",
    .rationale = "The image of PostgreSQL makes its databases with the collation en_US.utf8. Synapse asks for C, since a newer library may sort by other rules and leave its indexes wrong; "
                 "with another one it says so and ends. What is in a database of the wrong collation must be dumped and read back to get out of it.",
    .fix = "Before the first start: `POSTGRES_INITDB_ARGS: --encoding=UTF-8 --lc-collate=C --lc-ctype=C`. (https://element-hq.github.io/synapse/latest/postgres.html)",
    .checks = "119",
    .bad = R"(services:
  synapse:
    image: matrixdotorg/synapse:v1.120.2
    volumes: ["./synapse:/data"]
    depends_on: [db]
  db:  # <- DM0138
    image: postgres:16
    environment: {POSTGRES_USER: synapse, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .good = R"(services:
  synapse:
    image: matrixdotorg/synapse:v1.120.2
    volumes: ["./synapse:/data"]
    depends_on: [db]
  db:
    image: postgres:16
    environment: {POSTGRES_USER: synapse, POSTGRES_PASSWORD: "${DB_PASSWORD:?}", POSTGRES_INITDB_ARGS: "--encoding=UTF-8 --lc-collate=C --lc-ctype=C"}
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  synapse:
    image: matrixdotorg/synapse:v1.120.2
    volumes: ["./synapse:/data"]
    depends_on: [db]
  db:
    image: postgres:16
    environment: {POSTGRES_USER: synapse, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["pg:/var/lib/postgresql/data", "./init:/docker-entrypoint-initdb.d:ro"]
  bridge:
    image: example/bridge:1
    depends_on: [other]
  other:
    image: postgres:16
    environment: {POSTGRES_USER: bridge, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["other:/var/lib/postgresql/data"]
volumes: {other: , pg: }
-- init/synapse.sh
createdb --encoding=UTF8 --locale=C --template=template0 synapse
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "synapse" || takes_any(input, id)) return;
            for (const auto& dependency : service.depends_on) {
              const auto* store = input.wiring.datastore(input.wiring.id_of(dependency.service));
              if (store == nullptr || store->kind != "postgres" || store->product->id != "postgres") continue;
              const auto& database = input.wiring.service(store->service);
              if (may_be_c(input, database)) continue;
              // A server for many is no sign that Synapse's own database is the one that its variables make.
              const auto names_it = [](std::string_view text) { return text.find("synapse") != std::string_view::npos || text.find("matrix") != std::string_view::npos; };
              const auto* user = database.env("POSTGRES_USER");
              const auto* name = database.env("POSTGRES_DB");
              if (!names_it(database.name) && !(user != nullptr && names_it(user->value.value)) && !(name != nullptr && names_it(name->value.value))) continue;
              report.add(database.where, store->service, fmt::format("'{}' makes its database with a collation that '{}' refuses", database.name, service.name), "without POSTGRES_INITDB_ARGS it is en_US.utf8, and Synapse asks for C");
            }
          });
        },
};

}  // namespace dm::audit::rules

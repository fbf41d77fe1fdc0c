#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// It speaks of dumps, or of stopping what it copies.
bool stops_or_dumps(std::string_view text) {
  static constexpr std::array kWords{"pg_dump", "pg_basebackup", "pg_backup_start", "mysqldump", "mariadb-dump", "mariadb-backup", "xtrabackup", "mongodump", "influx backup", "influxd backup",
                                     "docker stop", "docker pause", "compose stop", "compose pause", "_snapshot", "clickhouse-backup", "BACKUP DATABASE", "fsyncLock", "pgbackrest", "wal-g", "wal-push", "barman", "neo4j-admin", "arangodump",
                                     "postgresql_databases", "mysql_databases", "mariadb_databases", "mongodb_databases"};  // the last are borgmatic's
  return std::ranges::any_of(kWords, [&](const char* word) { return text.find(word) != std::string_view::npos; });
}

/// Backup services that say so themselves: in their image, their command, their variables (hooks), or in what they mount.
std::set<ServiceId> careful(const Input& input) {
  std::set<ServiceId> all, out;
  for (const auto& store : input.wiring.datastores) all.insert(store.backed_up_by.begin(), store.backed_up_by.end());
  for (const auto id : all) {
    const auto& service = input.wiring.service(id);
    bool says = stops_or_dumps(service.image.value) || std::ranges::any_of(service.environment, [](const auto& variable) { return stops_or_dumps(variable.value.value); });
    for (const auto* words : {&service.command, &service.entrypoint})
      for (const auto& word : *words) says = says || stops_or_dumps(word.value);
    for (const auto& config : config_files_of(input, id)) says = says || (config.file != sources::kNoFile && stops_or_dumps(input.project.texts.at(config.file).content));
    if (says) out.insert(id);
  }
  return out;
}

/// offen/docker-volume-backup stops containers with its label, and runs commands in those with others.
bool labelled(const compose::Service& server) {
  return std::ranges::any_of(server.labels, [](const auto& label) { return label.first.find("backup") != std::string_view::npos; });
}

}  // namespace

extern constinit const Rule live_files_copied{
    .id = "DM0412",
    .name = "live-files-copied",
    .severity = Severity::high,
    .area = Area::recovery,
    .summary = "a backup copies a database's files while the server writes them",
    .rationale = "The copy holds some files from before a write and others from after it. The server that is to start on it finds torn pages or a log that does not fit, "
                 "and refuses, or loses rows without a word. This shows on the day of the restore.",
    .fix = "Let the backup take a dump (`pg_dump`, `mariadb-dump` ...), or stop the server while its files are copied (docker-volume-backup: the label "
           "`docker-volume-backup.stop-during-backup: \"true\"` on the database).",
    .checks = "125 O34",
    .bad = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  backup:
    image: offen/docker-volume-backup:v2.43.0
    volumes:
      - pg:/backup/pg:ro  # <- DM0412
volumes: {pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    labels: {docker-volume-backup.stop-during-backup: "true"}
    volumes: ["pg:/var/lib/postgresql/data"]
  backup:
    image: offen/docker-volume-backup:v2.43.0
    volumes: ["pg:/backup/pg:ro"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  dumper:
    image: example/pg-backup:1
    command: sh -c "pg_dump -h db -U app app > /out/app.sql"
    volumes: ["pg:/pg:ro", "./out:/out"]
  cache:
    image: valkey/valkey:8
    volumes: ["cache:/data"]
  copy-backup:
    image: restic/restic:0.17.3
    volumes: ["cache:/cache:ro", "./out:/out:ro"]
  stock:
    image: postgres:17
    volumes: ["stock:/var/lib/postgresql/data"]
  hooked-backup:
    image: mazzolino/restic:1.8
    environment: {PRE_COMMANDS: "docker exec stock pg_dumpall -U postgres -f /var/lib/postgresql/data/all.sql"}
    volumes: ["stock:/mnt/stock:ro"]
  ledger:
    image: postgres:17
    volumes: ["ledger:/var/lib/postgresql/data"]
  pgbackrest-backup:
    image: woblerr/pgbackrest:2.54
    volumes: ["ledger:/var/lib/postgresql/data:ro"]
  shop:
    image: mariadb:11.8
    volumes: ["shop:/var/lib/mysql"]
  borg-backup:
    image: ghcr.io/borgmatic-collective/borgmatic:1.9.9
    volumes: ["shop:/mnt/source/shop:ro", "./borgmatic:/etc/borgmatic.d:ro"]
volumes: {cache: , ledger: , pg: , shop: , stock: }
-- borgmatic/config.yaml
mariadb_databases:
  - name: all
    container: shop
)",
    .minutes = 30,
    .check =
        [](const Input& input, Report& report) {
          if (std::ranges::all_of(input.wiring.datastores, [](const auto& store) { return store.backed_up_by.empty(); })) return;
          if (stops_or_dumps(texts_beside(input))) return;
          const auto dumping = careful(input);
          std::set<std::pair<ServiceId, ServiceId>> calls;  // a backup that names the server asks it for a dump
          for (const auto& reference : input.wiring.references)
            if (reference.to != wiring::kNone && reference.via != wiring::Reference::Via::depends_on) calls.emplace(reference.from, reference.to);
          for (const auto& store : input.wiring.datastores) {
            if (store.backed_up_by.empty() || store.mount == nullptr || store.mount->source.empty() || store.product->kind != "database" || labelled(input.wiring.service(store.service))) continue;
            if (std::ranges::any_of(store.backed_up_by, [&](ServiceId backup) { return dumping.contains(backup) || calls.contains({backup, store.service}); })) continue;
            for (const auto backup : store.backed_up_by) {
              const auto& service = input.wiring.service(backup);
              const auto mount = std::ranges::find(service.mounts, store.mount->source, &compose::Mount::source);
              if (mount == service.mounts.end()) continue;
              report.add(mount->where, backup, fmt::format("'{}' copies the files of '{}' ({}) while the server writes them", service.name, input.wiring.service(store.service).name, store.product->name),
                         "nothing in the files makes a dump or stops the server meanwhile");
              break;
            }
          }
        },
};

}  // namespace dm::audit::rules

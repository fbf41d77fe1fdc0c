#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/runs_script.hpp"

namespace dm::audit::rules {
namespace {

/// Servers that read a file of settings only when their command names it: the file's ending, and the part of a command that names one.
struct Reader {
  std::string_view product, file, named;
};
constexpr Reader kReaders[] = {{"redis", ".conf", ".conf"}, {"valkey", ".conf", ".conf"}, {"postgres", "postgresql.conf", "config_file"}};

/// PostgreSQL takes `--config-file` and `-D FOLDER`, too; a script of the first start may copy the file.
bool told_otherwise(const compose::Service& service) {
  if (std::ranges::any_of(service.command, [](const auto& word) { return word.value.find("config-file") != std::string_view::npos || word.value.starts_with("-D") || word.value.find(" -D") != std::string_view::npos; })) return true;
  return std::ranges::any_of(service.mounts, [](const auto& mount) { return mount.target.starts_with("/docker-entrypoint-initdb.d"); });
}

/// The image of PostgreSQL itself, which brings no Patroni.
bool official_postgres(std::string_view image) {
  const auto name = product::split_image(image);
  return (name.registry.empty() || name.registry == "docker.io") && (name.repository == "postgres" || name.repository == "library/postgres");
}

}  // namespace

extern constinit const Rule config_never_read{
    .id = "DM0125",
    .name = "config-never-read",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "a mounted file of settings that the server is not told to read",
    .rationale = "Redis and Valkey look for no file by themselves, and PostgreSQL only into its data folder. The server runs with its defaults, while whoever reads the "
                 "project believes that passwords, limits and persistence are set.",
    .fix = "Name the file in the command: `redis-server /usr/local/etc/redis/redis.conf`, `postgres -c config_file=/etc/postgresql/postgresql.conf`.",
    .checks = "115",
    .bad = R"(services:
  cache:
    image: redis:7.4
    volumes:
      - ./redis.conf:/usr/local/etc/redis/redis.conf:ro  # <- DM0125
  queue:
    image: valkey/valkey:8
    command: valkey-server --appendonly yes
    volumes:
      - ./redis.conf:/etc/valkey/valkey.conf:ro  # <- DM0125
  member:
    image: postgres:17
    volumes:
      - member:/var/lib/postgresql/data
      - ./patroni.yml:/etc/patroni/patroni.yml:ro  # <- DM0125
volumes: {member: }
-- patroni.yml
scope: app
-- redis.conf
maxmemory 256mb
)",
    .good = R"(services:
  cache:
    image: redis:7.4
    command: redis-server /usr/local/etc/redis/redis.conf
    volumes: ["./redis.conf:/usr/local/etc/redis/redis.conf:ro"]
-- redis.conf
maxmemory 256mb
)",
    .look_alike = R"(services:
  cache:
    image: redis:7.4
    command: [sh, -c, "exec redis-server /etc/redis.conf"]
    volumes: ["./redis.conf:/etc/redis.conf:ro"]
  stack:
    image: redis/redis-stack-server:7.4.0-v3
    volumes: ["./redis.conf:/redis-stack.conf:ro"]
  db:
    image: postgres:17
    volumes:
      - pg:/var/lib/postgresql/data
      - ./postgresql.conf:/var/lib/postgresql/data/postgresql.conf:ro
  scripted:
    image: redis:7.4
    command: [sh, /start.sh]
    volumes: ["./redis.conf:/usr/local/etc/redis/redis.conf:ro", "./start.sh:/start.sh:ro"]
  flags:
    image: valkey/valkey:8
    environment: {VALKEY_EXTRA_FLAGS: /etc/valkey/valkey.conf}
    volumes: ["./redis.conf:/etc/valkey/valkey.conf:ro"]
  dashed:
    image: postgres:17
    command: postgres --config-file=/etc/postgresql/postgresql.conf
    volumes: ["dashed:/var/lib/postgresql/data", "./postgresql.conf:/etc/postgresql/postgresql.conf:ro"]
  folder:
    image: postgres:17
    command: postgres -D /etc/postgresql
    volumes: ["folder:/var/lib/postgresql/data", "./postgresql.conf:/etc/postgresql/postgresql.conf:ro"]
  copied:
    image: postgres:17
    volumes: ["copied:/var/lib/postgresql/data", "./postgresql.conf:/tmp/postgresql.conf:ro", "./init.sh:/docker-entrypoint-initdb.d/init.sh:ro"]
  built-upon:
    image: supabase/postgres:15.8.1.060
    volumes: ["built:/var/lib/postgresql/data", "./postgresql.conf:/etc/postgresql/postgresql.conf:ro"]
volumes: {built: , copied: , dashed: , folder: , pg: }
-- start.sh
exec redis-server /usr/local/etc/redis/redis.conf
-- init.sh
cp /tmp/postgresql.conf "$PGDATA"
-- redis.conf
maxmemory 256mb
-- postgresql.conf
max_connections = 50
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> patroni_where;
          std::vector<ServiceId> patroni;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product != nullptr && product->id == "postgres" && service.build == nullptr && official_postgres(service.image.value) && service.entrypoint_node == nullptr && service.command_node == nullptr)
              for (const auto& mount : service.mounts)
                if (sources::file_name(mount.target).starts_with("patroni") || mount.target.starts_with("/etc/patroni")) {
                  patroni_where.push_back(mount.where);
                  patroni.push_back(id);
                }
            if (product == nullptr || service.build != nullptr || service.entrypoint_node != nullptr || !service.volumes_from.empty() || runs_script(service)) return;
            const auto reader = std::ranges::find(kReaders, std::string_view(product->id), &Reader::product);
            if (reader == std::end(kReaders) || product::split_image(service.image.value).repository.find("redis-stack") != std::string_view::npos) return;
            if (std::ranges::any_of(service.command, [&](const auto& word) { return word.value.find(reader->named) != std::string_view::npos; })) return;
            // Images that are built upon PostgreSQL's name a file of their own in their command.
            if (product->id == "postgres" && (product::split_image(service.image.value).repository != "postgres" || told_otherwise(service))) return;
            if (service.env("VALKEY_EXTRA_FLAGS") != nullptr) return;
            const auto* store = input.wiring.datastore(id);
            for (const auto& mount : service.mounts) {
              if (!mount.target.ends_with(reader->file) || (store != nullptr && mount.target.starts_with(store->data_path) && product->id == "postgres")) continue;
              report.add(mount.where, id, fmt::format("'{}' mounts {}, and its command does not name it: {} reads no such file by itself", service.name, mount.target, product->name));
            }
          });
          if (patroni.empty()) return;
          auto message = fmt::format("{} {} a file of Patroni, and nothing reads it: the image of PostgreSQL has no Patroni", quoted_names(input, patroni), patroni.size() == 1 ? "mounts" : "mount");
          auto& finding = report.add_all(std::move(patroni_where), std::move(patroni), std::move(message), "each runs as a server of its own, and none follows another");
          finding.hint = "Take an image that brings Patroni (Spilo), or build one.";
          finding.severity = Severity::high;
        },
};

}  // namespace dm::audit::rules

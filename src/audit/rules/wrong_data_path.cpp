#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/queue_data.hpp"

namespace dm::audit::rules {

extern constinit const Rule wrong_data_path{
    .id = "DM0402",
    .name = "wrong-data-path",
    .severity = Severity::critical,
    .area = Area::recovery,
    .summary = "a volume is mounted where the datastore does not write",
    .rationale = "The volume stays empty and the data goes into the container: all looks well until it is "
                 "re-created.",
    .fix = "Mount the volume at the path that the product uses.",
    .checks = "124 O34",
    .bad = R"(services:
  db:
    image: mariadb:11.4
    volumes:
      - db:/var/lib/mariadb  # <- DM0402
  new:
    image: postgres:18
    volumes:
      - ./pg:/var/lib/postgresql/data  # <- DM0402
  newest:
    image: postgres
    volumes:
      - newest:/var/lib/postgresql/data  # <- DM0402
  queue:
    image: redis:8
    volumes:
      - queue:/var/lib/redis/data  # <- DM0402
  events:
    image: apache/kafka:3.9.0
    environment: {KAFKA_NODE_ID: 1, KAFKA_PROCESS_ROLES: "broker,controller"}
    volumes:
      - events:/var/lib/kafka/data  # <- DM0402
volumes: {db: , newest: , queue: , events: }
)",
    .good = R"(services:
  db:
    image: mariadb:11.4
    volumes:
      - db:/var/lib/mysql
  new:
    image: postgres:18
    volumes:
      - ./pg:/var/lib/postgresql
volumes: {db: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment:
      PGDATA: /srv/pg
    volumes:
      - db:/srv
  old:
    image: postgres:alpine3.19
    volumes:
      - old:/var/lib/postgresql/data
  events:
    image: apache/kafka:3.9.0
    environment: {KAFKA_LOG_DIRS: /var/lib/kafka/data}
    volumes:
      - events:/var/lib/kafka/data
volumes: {db: , old: , events: }
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            if (!store.wrong_path) continue;
            const auto& service = input.wiring.service(store.service);
            // A cache need not keep anything; a volume at a place for data shows that this one shall.
            const bool essential = store.product->data.front().essential;
            if (!essential && std::ranges::none_of(service.mounts, [](const auto& mount) {
                  return mount.type == compose::Mount::Type::volume && !mount.source.empty() && (mount.target.starts_with("/var/lib/") || mount.target.ends_with("/data"));
                }))
              continue;
            const compose::Mount* meant = nullptr;  // the product's usual path says most, then a volume, then a folder of the host
            for (const auto& mount : service.mounts) {
              if (mount.read_only || mount.target.find("initdb") != std::string_view::npos) continue;
              if (mount.type != compose::Mount::Type::volume && mount.type != compose::Mount::Type::bind) continue;
              const auto rank = [&](const compose::Mount& m) { return m.target == store.product->data.front().path ? 0 : m.type == compose::Mount::Type::volume ? 1 : 2; };
              if (meant == nullptr || rank(mount) < rank(*meant)) meant = &mount;
            }
            if (meant == nullptr) continue;
            const bool moved = store.kind == "postgres" && store.data_path.ends_with("/docker") && meant->target == store.product->data.front().path;
            auto& finding = report.add(meant->where, store.service, fmt::format("'{}' mounts {}, but {} writes to {}", service.name, meant->target, store.product->name, store.data_path),
                       moved ? "the images from 18 on keep each major version in a folder of its own, and refuse to start on data at the old path" : "",
                       moved ? "mount the volume at /var/lib/postgresql; data of an older version must be moved or upgraded first" : "");
            if (!essential) finding.severity = Severity::medium;
          }
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto data = queue_without_volume(input, id);
            if (!data || data->elsewhere == nullptr) return;
            const auto* product = input.wiring.product_of[id];
            auto message = fmt::format("'{}' mounts {}, but {} writes to {}", service.name, data->elsewhere->target, product->name, data->paths.front());
            const auto* variable = product->id == "bitnami-kafka" ? "KAFKA_CFG_LOG_DIRS" : "KAFKA_LOG_DIRS";
            auto hint = data->why.empty() ? std::string() : fmt::format("set {}: {}", variable, data->elsewhere->target);
            report.add(data->elsewhere->where, id, std::move(message), data->why, std::move(hint)).severity = Severity::high;
          });
        },
};

}  // namespace dm::audit::rules

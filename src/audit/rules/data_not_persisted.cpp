#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/queue_data.hpp"

namespace dm::audit::rules {
namespace {

/// Newer images keep their data in a folder beside the old path; a mount of the parent holds both.
bool under_parent(const compose::Service& service, std::string_view path) {
  const auto parent = sources::parent_path(path);
  return std::ranges::any_of(service.mounts, [&](const auto& mount) { return mount.target == parent; });
}

/// A client of the broker in the broker's image.
bool broker_client(const compose::Service& service) {
  for (const auto* words : {&service.command, &service.entrypoint})
    for (const auto& word : *words)
      for (const std::string_view tool : {"kafka-topics", "kafka-console", "kafka-configs", "kafka-acls", "kafka-consumer-groups"})
        if (word.value.find(tool) != std::string_view::npos) return true;
  return false;
}

}  // namespace

std::optional<QueueData> queue_without_volume(const Input& input, ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  const auto& service = input.wiring.service(id);
  if (product == nullptr || product->kind != "queue" || product->data.empty()) return std::nullopt;
  if (input.wiring.one_shot[id] || broker_client(service)) return std::nullopt;
  QueueData out{{product->data.front().path}, nullptr, {}};
  const auto told = [&]() -> const compose::EnvVar* {
    for (const auto name : {"KAFKA_LOG_DIRS", "KAFKA_LOG_DIR", "KAFKA_CFG_LOG_DIRS", "KAFKA_CFG_LOG_DIR"})
      if (const auto* variable = service.env(name); variable != nullptr && !variable->value.value.empty()) return variable;
    return nullptr;
  };
  const bool apache = product->id == "apache-kafka";
  if (product->id == "kafka" || product->id == "bitnami-kafka" || apache) {
    if (const auto* variable = told()) {
      const auto path = variable->value.value.substr(0, variable->value.value.find(','));
      if (!path.starts_with('/')) return std::nullopt;
      out.paths = {sources::clean_path(path)};
      out.why = fmt::format("{} is {}", variable->name, variable->value.value);
    } else if (apache) {
      // Its file of properties names another folder than the server's own default, which holds as soon as a variable is set.
      out.paths.push_back("/tmp/kraft-combined-logs");
      out.why = "KAFKA_LOG_DIRS is not set, and this image writes below /tmp without it";
    }
  }
  for (const auto& mount : service.mounts) {
    for (const auto& path : out.paths)
      if (path.starts_with(mount.target) || mount.target.starts_with(path)) return std::nullopt;
    const auto below = [&](std::string_view folder) { return mount.target.starts_with(folder); };
    if (below("/mnt/shared/config") || below("/opt/kafka/config") || mount.target.ends_with(".properties")) return std::nullopt;  // which may say where
    const bool meant = mount.type == compose::Mount::Type::volume || mount.type == compose::Mount::Type::bind;
    const bool data = below("/var/lib/kafka") || below("/bitnami") || mount.target == "/kafka" || mount.target.ends_with("/data") ||
                      mount.target.find("kafka-logs") != std::string_view::npos;
    if (meant && data && !mount.read_only) out.elsewhere = &mount;
  }
  return out;
}

extern constinit const Rule data_not_persisted{
    .id = "DM0401",
    .name = "data-not-persisted",
    .severity = Severity::critical,
    .area = Area::recovery,
    .summary = "a datastore keeps its data in the container",
    .rationale = "The next `down`, update or re-creation of the container deletes the data, or leaves it in a "
                 "nameless volume that the next prune removes.",
    .fix = "Mount a named volume at the path where the product keeps its data.",
    .checks = "124 O34",
    .bad = R"(services:
  db:  # <- DM0401
    image: postgres:17
  events:  # <- DM0401
    image: confluentinc/cp-kafka:7.6.1
  moved:  # <- DM0401
    image: bitnamilegacy/kafka:3.6.1
    environment: {KAFKA_CFG_LOG_DIRS: /tmp/kraft-combined-logs}
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
  cache:
    image: redis:7.4
  events:
    image: confluentinc/cp-kafka:7.6.1
    volumes: ["events:/var/lib/kafka"]
  newer:
    image: apache/kafka:3.9.0
    environment: {KAFKA_LOG_DIRS: /var/lib/kafka/data, KAFKA_NODE_ID: 1}
    volumes: ["newer:/var/lib/kafka/data"]
  topics:
    image: apache/kafka:3.9.0
    command: [/opt/kafka/bin/kafka-topics.sh, --bootstrap-server, "newer:9092", --list]
  settings:
    image: apache/kafka:3.9.0
    volumes: ["./kafka:/mnt/shared/config:ro", "settings:/data"]
volumes: {events: , newer: , settings: }
-- kafka/server.properties
log.dirs=/data
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            if (store.mount != nullptr || store.wrong_path || !store.product->data.front().essential) continue;
            const auto& service = input.wiring.service(store.service);
            if (under_parent(service, store.data_path)) continue;
            report.add(service.where, store.service, fmt::format("'{}' keeps its {} data in the container: nothing is mounted at {}", service.name, store.product->name, store.data_path));
          }
          // What waits in a queue is no archive, but whoever sent it believes that it arrived.
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto data = queue_without_volume(input, id);
            if (!data || data->elsewhere != nullptr) return;
            auto message = fmt::format("'{}' keeps what waits in {} in the container: nothing is mounted at {}", service.name, input.wiring.product_of[id]->name, data->paths.front());
            report.add(service.where, id, std::move(message), data->why).severity = Severity::medium;
          });
        },
};

}  // namespace dm::audit::rules

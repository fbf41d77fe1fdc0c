#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "audit/rules/env_file_known.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/rules/queue_data.hpp"
#include "formats/settings.hpp"

namespace dm::audit::rules {
namespace {

/// Newer images keep their data in a folder beside the old path; a mount of the parent holds both.
bool under_parent(const compose::Service& service, std::string_view path) {
  const auto parent = sources::parent_path(path);
  return std::ranges::any_of(service.mounts, [&](const auto& mount) { return mount.target == parent; });
}

/// `- /var/lib/postgresql/data` without a source: a volume that has no name.
bool nameless(const compose::Mount* mount) { return mount != nullptr && mount->type == compose::Mount::Type::volume && mount->source.empty(); }

/// Its data can be elsewhere, or be made again from files.
bool kept_elsewhere(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  for (const auto name : {"GF_DATABASE_TYPE", "GF_DATABASE_URL", "GF_DATABASE_HOST", "DB_TYPE", "DATABASE_URL"})
    if (const auto* variable = service.env(name); variable != nullptr && variable->value.value.find("sqlite") == std::string_view::npos) return true;
  if (!service.volumes_from.empty() || std::ranges::any_of(service.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); })) return true;
  const auto provisions = [](const auto& one) { return one.target.find("provisioning") != std::string_view::npos; };
  return std::ranges::any_of(service.mounts, provisions) || std::ranges::any_of(service.configs, provisions);
}

/// A folder that it may write to and that is no scratch: versions, commands and variables move an application's data.
bool holds_something(const compose::Mount& mount) {
  if (mount.read_only || nameless(&mount) || mount.type == compose::Mount::Type::tmpfs || mount.target.ends_with(".sock")) return false;
  if (mount.target.substr(mount.target.rfind('/') + 1).find('.') != std::string_view::npos) return false;
  return std::ranges::none_of(std::initializer_list<std::string_view>{"cache", "transcode", "/tmp", "/log", "localtime", "timezone"},
                              [&](std::string_view part) { return mount.target.find(part) != std::string_view::npos; });
}

/// What an application must not lose and nothing holds; "" for nothing.
const product::DataPath* unheld(const Input& input, ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  const auto& service = input.wiring.service(id);
  if (product == nullptr || !product->datastore.empty() || service.build != nullptr || input.wiring.one_shot[id] || run_by_hand(service) || kept_elsewhere(input, id)) return nullptr;
  if (std::ranges::any_of(service.mounts, holds_something)) return nullptr;
  if (product->kind != "application" && product->kind != "admin" && product->kind != "identity" && product->kind != "object-store") return nullptr;
  for (const auto& data : product->data) {
    if (!data.essential) continue;
    if (const auto* mount = mount_of(service, data.path); mount != nullptr && !nameless(mount)) return nullptr;
    const auto below = data.path + "/";
    if (std::ranges::any_of(service.configs, [&](const auto& config) { return config.target.starts_with(below); })) return nullptr;
    if (std::ranges::any_of(service.mounts, [&](const auto& mount) { return mount.target.starts_with(below) && !nameless(&mount); })) return nullptr;
    return &data;
  }
  return nullptr;
}

/// A client of the broker in the broker's image.
bool broker_client(const compose::Service& service) {
  for (const auto* words : {&service.command, &service.entrypoint})
    for (const auto& word : *words)
      for (const std::string_view tool : {"kafka-topics", "kafka-console", "kafka-configs", "kafka-acls", "kafka-consumer-groups"})
        if (word.value.find(tool) != std::string_view::npos) return true;
  return false;
}

/// Where Prometheus and Loki write what they collect, by their command or file; "" where that is not known here.
std::string collected_at(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  const auto& product = input.wiring.product_of[id]->id;
  if (product == "prometheus") {
    for (const auto& word : service.command) {
      if (word.value.starts_with("--storage.tsdb.path=")) return std::string(word.value.substr(20));
      if (word.value == "--enable-feature=agent" || word.value == "--agent") return {};
    }
    return service.command.empty() || service.command.front().value.starts_with('-') ? "/prometheus" : "";
  }
  for (const auto& config : config_files_of(input, id)) {
    if (config.file == sources::kNoFile) continue;
    const auto& text = input.project.texts.at(config.file).content;
    const auto settings = formats::read_settings(formats::detect_format(config.path, text), text);
    if (!settings) continue;
    if (std::ranges::any_of(*settings, [](const auto& setting) { return setting.key.ends_with("object_store") && setting.value != "filesystem"; })) return {};
    for (const auto& setting : *settings)
      if (setting.key == "common.path_prefix" && setting.value.starts_with('/')) return setting.value;
  }
  return {};
}

}  // namespace

std::optional<QueueData> queue_without_volume(const Input& input, ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  const auto& service = input.wiring.service(id);
  if (product == nullptr || product->kind != "queue" || product->data.empty() || !product->data.front().essential) return std::nullopt;
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
  old:
    image: postgres:15
    volumes:
      - /var/lib/postgresql/data  # <- DM0401
  panels:  # <- DM0401
    image: grafana/grafana:11.4.0
  events:  # <- DM0401
    image: confluentinc/cp-kafka:7.6.1
  series:  # <- DM0401
    image: prom/prometheus:v3.1.0
    volumes: ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"]
  logs:  # <- DM0401
    image: grafana/loki:3.3.2
    volumes: ["./loki.yml:/etc/loki/local-config.yaml:ro", "logs:/loki"]
  moved:  # <- DM0401
    image: bitnamilegacy/kafka:3.6.1
    environment: {KAFKA_CFG_LOG_DIRS: /tmp/kraft-combined-logs}
volumes: {logs: }
-- loki.yml
common: {path_prefix: /tmp/loki}
-- prometheus.yml
scrape_configs: []
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
  panels:
    image: grafana/grafana:11.4.0
    volumes: ["./grafana:/etc/grafana/provisioning:ro"]
  boards:
    image: grafana/grafana:11.4.0
    volumes: ["boards:/var/lib/grafana"]
  inline:
    image: grafana/grafana:11.4.0
    configs: [{source: sources, target: /etc/grafana/provisioning/datasources/all.yaml}]
  links:
    image: ghcr.io/gethomepage/homepage:v0.10.9
    configs: [{source: sources, target: /app/config/services.yaml}]
  elsewhere:
    image: grafana/grafana:11.4.0
    env_file: not-there.env
  series:
    image: prom/prometheus:v3.1.0
    command: [--config.file=/etc/prometheus/prometheus.yml, --storage.tsdb.path=/data]
    volumes: ["series:/data"]
  logs:
    image: grafana/loki:3.3.2
    volumes: ["./loki.yml:/etc/loki/local-config.yaml:ro"]
  site:
    image: wordpress:6.7-fpm
    volumes_from: [site-data]
  site-data:
    image: wordpress:6.7
    volumes: ["site:/var/www/html"]
  files:
    image: minio/minio:RELEASE.2025-04-22T22-12-26Z
    command: server /files
    volumes: ["files:/files"]
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
configs: {sources: {content: "apiVersion: 1"}}
volumes: {boards: , events: , files: , newer: , series: , settings: , site: }
-- loki.yml
common: {path_prefix: /loki}
schema_config: {configs: [{from: "2024-01-01", store: tsdb, object_store: s3, schema: v13}]}
-- kafka/server.properties
log.dirs=/data
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            if (!store.product->data.front().essential) continue;
            const auto& service = input.wiring.service(store.service);
            if (nameless(store.mount)) {
              report.add(store.mount->where, store.service, fmt::format("'{}' keeps its {} data in a volume without a name", service.name, store.product->name),
                         "`docker compose down` leaves it behind, and the next `up` begins with a new and empty one");
              continue;
            }
            if (store.mount != nullptr || store.wrong_path) continue;
            if (under_parent(service, store.data_path)) continue;
            report.add(service.where, store.service, fmt::format("'{}' keeps its {} data in the container: nothing is mounted at {}", service.name, store.product->name, store.data_path));
          }
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* data = unheld(input, id);
            if (data == nullptr) return;
            report.add(service.where, id, fmt::format("'{}' keeps its {} in the container: nothing is mounted at {}", service.name, data->holds, data->path)).severity = Severity::high;
          });
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || (product->id != "prometheus" && product->id != "loki") || service.build != nullptr || service.entrypoint_node != nullptr || run_by_hand(service) || kept_elsewhere(input, id)) return;
            const auto path = collected_at(input, id);
            if (!path.starts_with('/')) return;
            const auto below = path + "/";
            const auto* mount = mount_of(service, path);
            if ((mount != nullptr && !nameless(mount)) || std::ranges::any_of(service.mounts, [&](const auto& one) { return one.target.starts_with(below); })) return;
            report.add(service.where, id, fmt::format("'{}' keeps its {} in the container: nothing is mounted at {}", service.name, product->id == "loki" ? "logs" : "metrics", path)).severity = Severity::low;
          });
          // What waits in a queue is no archive, but whoever sent it believes that it arrived.
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto data = queue_without_volume(input, id);
            if (!data || data->elsewhere != nullptr) return;
            const auto& product = *input.wiring.product_of[id];
            auto message = fmt::format("'{}' keeps {} {} in the container: nothing is mounted at {}", service.name, product.name.find("ZooKeeper") != std::string::npos ? "the data of" : "what waits in", product.name, data->paths.front());
            report.add(service.where, id, std::move(message), data->why).severity = Severity::medium;
          });
        },
};

}  // namespace dm::audit::rules

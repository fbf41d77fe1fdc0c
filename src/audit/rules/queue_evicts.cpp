#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// `--maxmemory-policy allkeys-lru` with a limit that it acts on: in the command, or in a mounted file of settings.
struct Policy {
  std::string_view name;  ///< "allkeys-lru"; "" for none, and where all is kept
  Location where;
};

std::string_view word_after(std::string_view text, std::string_view name) {
  const auto at = text.find(name);
  if (at == std::string_view::npos) return {};
  auto rest = text.substr(at + name.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" =\t\"'"), rest.size()));
  return rest.substr(0, rest.find_first_of(" \t\r\n\"';&"));
}

Policy policy_of(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  Policy out;
  bool limit = false;
  const auto take = [&](std::string_view policy, Location where) {
    if (policy.starts_with("allkeys-")) out = {policy, where};
  };
  for (std::size_t i = 0; i < service.command.size(); ++i) {
    const auto& word = service.command[i];
    const auto where = word.where() ? word.where() : place(service, "command");
    const auto next = i + 1 < service.command.size() ? service.command[i + 1].value : std::string_view();
    if (word.value == "--maxmemory") limit = next != "0";
    else if (word.value == "--maxmemory-policy") take(next, where);
    else if (word.value.find("maxmemory-policy ") != std::string_view::npos) {  // one text for a shell
      take(word_after(word.value, "maxmemory-policy"), where);
      limit = limit || word.value.find("maxmemory ") != std::string_view::npos;
    }
  }
  for (const auto& config : config_files_of(input, id)) {
    if (config.file == sources::kNoFile || !config.path.ends_with(".conf")) continue;
    const std::string_view text = input.project.texts.at(config.file).content;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      const auto line = text.substr(at, end - at);
      if (line.starts_with("maxmemory ")) limit = word_after(line, "maxmemory") != "0";
      if (line.starts_with("maxmemory-policy ")) take(word_after(line, "maxmemory-policy"), {config.file, {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end)}});
      at = end + 1;
    }
  }
  return limit ? out : Policy{};
}

/// Why the client's work waits there: "CELERY_BROKER_URL", or the program that it runs; "" where it may be a cache only.
std::string queues(const Input& input, const wiring::Reference& reference) {
  std::string key(reference.key);
  std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c); });
  for (const std::string_view word : {"BROKER", "CELERY", "QUEUE", "BULL", "SIDEKIQ", "ARQ_", "RQ_"})
    if (key.find(word) != std::string::npos) return std::string(reference.key);
  const auto& client = input.wiring.service(reference.from);
  for (const auto name : {"QUEUE_CONNECTION", "QUEUE_DRIVER"})
    if (const auto* variable = client.env(name); variable != nullptr && variable->value.value == "redis") return fmt::format("{}: redis", name);
  for (const auto* words : {&client.entrypoint, &client.command})
    for (const auto& word : *words)
      for (const std::string_view program : {"celery", "sidekiq", "horizon", "bullmq", "dramatiq", "taskiq"})
        if (word.value.find(program) != std::string_view::npos) return fmt::format("it runs {}", program);
  return {};
}

}  // namespace

extern constinit const Rule queue_evicts{
    .id = "DM0413",
    .name = "queue-evicts",
    .severity = Severity::medium,
    .area = Area::recovery,
    .summary = "a queue that throws work away when its memory is full",
    .rationale = "With an `allkeys-` policy Redis and Valkey make room by deleting any key: tasks that wait, their results, and locks go without an error on either side. It happens "
                 "on the day with the most work.",
    .fix = "`--maxmemory-policy noeviction` for what holds a queue, so that a full one refuses new work loudly; a second server with `allkeys-lru` for the cache.",
    .checks = "124",
    .bad = R"(services:
  redis:
    image: redis:7.4
    command: redis-server --maxmemory 256mb --maxmemory-policy allkeys-lru  # <- DM0413
    volumes: ["redis:/data"]
  worker:
    image: example/app:1
    command: celery -A app worker
    environment: {CELERY_BROKER_URL: "redis://redis:6379/0"}
  valkey:
    image: valkey/valkey:8
    command: valkey-server /etc/valkey.conf
    volumes: ["valkey:/data", "./valkey.conf:/etc/valkey.conf:ro"]
  shop:
    image: example/shop:1
    environment: {REDIS_HOST: valkey, QUEUE_CONNECTION: redis}
volumes: {redis: , valkey: }
-- valkey.conf
maxmemory 128mb
maxmemory-policy allkeys-lfu  # <- DM0413
)",
    .good = R"(services:
  redis:
    image: redis:7.4
    command: redis-server --maxmemory 256mb --maxmemory-policy noeviction
    volumes: ["redis:/data"]
  worker:
    image: example/app:1
    command: celery -A app worker
    environment: {CELERY_BROKER_URL: "redis://redis:6379/0"}
volumes: {redis: }
)",
    .look_alike = R"(services:
  cache:
    image: redis:7.4
    command: redis-server --maxmemory 256mb --maxmemory-policy allkeys-lru
    volumes: ["cache:/data"]
  queue:
    image: redis:7.4
    command: redis-server --maxmemory-policy allkeys-lru
    volumes: ["queue:/data"]
  some:
    image: redis:7.4
    command: redis-server --maxmemory 256mb --maxmemory-policy volatile-lru
    volumes: ["some:/data"]
  worker:
    image: example/app:1
    command: celery -A app worker
    environment: {CELERY_BROKER_URL: "redis://queue:6379/0", RESULT_BROKER_URL: "redis://some:6379/0"}
  web:
    image: example/app:1
    environment: {CACHE_URL: "redis://cache:6379/0", QUEUE_CONNECTION: database}
volumes: {cache: , queue: , some: }
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          std::map<ServiceId, std::pair<std::string, std::vector<ServiceId>>> users;
          for (const auto& reference : input.wiring.references) {
            if (reference.to == wiring::kNone || reference.to == reference.from || reference.via == wiring::Reference::Via::depends_on) continue;
            const auto* store = input.wiring.datastore(reference.to);
            if (store == nullptr || (store->kind != "valkey" && store->kind != "redis")) continue;
            auto why = queues(input, reference);
            if (why.empty()) continue;
            auto& [first, services] = users[reference.to];
            if (first.empty()) first = fmt::format("'{}' keeps its queue there ({})", input.wiring.service(reference.from).name, why);
          }
          for (auto& [id, use] : users) {
            const auto policy = policy_of(input, id);
            if (policy.name.empty()) continue;
            report.add(policy.where, id, fmt::format("'{}' throws away what waits in it when it is full ({})", input.wiring.service(id).name, policy.name), std::move(use.first));
          }
        },
};

}  // namespace dm::audit::rules

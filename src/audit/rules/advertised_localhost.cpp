#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

struct Address {
  std::string_view host;
  std::uint32_t port = 0;
};

/// "PLAINTEXT://localhost:9092,INTERNAL://kafka:29092" by name; without a scheme, Redpanda's form, by the address itself.
std::map<std::string_view, Address> listeners(std::string_view list) {
  std::map<std::string_view, Address> out;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    auto one = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
    const auto scheme = one.find("://");
    const auto name = scheme == std::string_view::npos ? one : one.substr(0, scheme);
    if (scheme != std::string_view::npos) one.remove_prefix(scheme + 3);
    const auto colon = one.rfind(':');
    if (colon == std::string_view::npos) continue;
    Address address{one.substr(0, colon), 0};
    const auto digits = one.substr(colon + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
    if (address.port != 0) out[name] = address;
  }
  return out;
}

bool loopback(std::string_view host) { return host == "localhost" || host.starts_with("127.") || host == "[::1]" || host == "0.0.0.0"; }

struct Settings {
  std::map<std::string_view, Address> advertised, bound;
  Location where;
};

Settings settings_of(const compose::Service& service) {
  Settings out;
  const auto read = [&](std::string_view name) -> const compose::EnvVar* {
    for (const std::string_view start : {"KAFKA_", "KAFKA_CFG_"})
      if (const auto* variable = service.env(std::string(start) + std::string(name)); variable != nullptr && !variable->value.value.empty()) return variable;
    return nullptr;
  };
  if (const auto* variable = read("ADVERTISED_LISTENERS"); variable != nullptr) {
    out.advertised = listeners(variable->value.value);
    out.where = variable->value.where() ? variable->value.where() : variable->where;
    if (const auto* bound = read("LISTENERS"); bound != nullptr) out.bound = listeners(bound->value.value);
    return out;
  }
  for (std::size_t i = 0; i < service.command.size(); ++i) {  // Redpanda
    const auto word = service.command[i].value;
    const auto value = [&](std::string_view flag) -> std::string_view {
      if (word == flag && i + 1 < service.command.size()) return service.command[i + 1].value;
      return word.size() > flag.size() && word.starts_with(flag) && word[flag.size()] == '=' ? word.substr(flag.size() + 1) : std::string_view();
    };
    if (const auto list = value("--advertise-kafka-addr"); !list.empty()) {
      out.advertised = listeners(list);
      out.where = service.command[i].where() ? service.command[i].where() : place(service, "command");
    }
    if (const auto list = value("--kafka-addr"); !list.empty()) out.bound = listeners(list);
  }
  return out;
}

}  // namespace

extern constinit const Rule advertised_localhost{
    .id = "DM0214",
    .name = "advertised-localhost",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "Kafka sends the other containers to themselves",
    .rationale = "A client's first connection only asks where the brokers are; then it goes to the address of the listener in `advertised.listeners`. With `localhost` there, each other "
                 "container looks for Kafka in itself: it connects, lists nothing, and fails with time-outs.",
    .fix = "Two listeners: one that advertises the service's name for containers (`INTERNAL://kafka:29092`), one for programs on the host "
           "(`HOST://localhost:9092`); give the containers the first one's port.",
    .checks = "105 108",
    .bad = R"(services:
  kafka:
    image: confluentinc/cp-kafka:7.7.1
    environment:
      KAFKA_ADVERTISED_LISTENERS: PLAINTEXT://localhost:9092  # <- DM0214
    ports: ["127.0.0.1:9092:9092"]
    volumes: ["kafka:/var/lib/kafka/data"]
  panda:
    image: redpandadata/redpanda:v24.2.8
    command:
      - redpanda
      - start
      - --kafka-addr=inner://0.0.0.0:9092
      - --advertise-kafka-addr=inner://127.0.0.1:9092  # <- DM0214
  app:
    image: example/app:1
    environment: {KAFKA_BROKERS: "kafka:9092", PANDA_BROKERS: "panda:9092"}
volumes: {kafka: }
)",
    .good = R"(services:
  kafka:
    image: confluentinc/cp-kafka:7.7.1
    environment:
      KAFKA_LISTENERS: HOST://0.0.0.0:9092,INTERNAL://0.0.0.0:29092
      KAFKA_ADVERTISED_LISTENERS: HOST://localhost:9092,INTERNAL://kafka:29092
    ports: ["127.0.0.1:9092:9092"]
    volumes: ["kafka:/var/lib/kafka/data"]
  app:
    image: example/app:1
    environment: {KAFKA_BROKERS: "kafka:29092"}
volumes: {kafka: }
)",
    .look_alike = R"(services:
  kafka:
    image: confluentinc/cp-kafka:7.7.1
    environment:
      KAFKA_LISTENERS: INNER://0.0.0.0:9092,OUTER://0.0.0.0:19092
      KAFKA_ADVERTISED_LISTENERS: INNER://kafka:9092,OUTER://localhost:9092
    ports: ["127.0.0.1:9092:19092"]
    volumes: ["kafka:/var/lib/kafka/data"]
  alone:
    image: confluentinc/cp-kafka:7.7.1
    environment: {KAFKA_ADVERTISED_LISTENERS: "PLAINTEXT://localhost:9092"}
    ports: ["127.0.0.1:9093:9092"]
    volumes: ["alone:/var/lib/kafka/data"]
  app:
    image: example/app:1
    environment: {KAFKA_BROKERS: "kafka:9092"}
volumes: {alone: , kafka: }
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          std::map<ServiceId, std::vector<ServiceId>> sent;
          std::map<ServiceId, Settings> known;
          std::map<ServiceId, Address> wrong;
          for (const auto& reference : input.wiring.references) {
            if (reference.to == wiring::kNone || reference.to == reference.from || !reference.port || reference.via == wiring::Reference::Via::depends_on) continue;
            const auto [at, fresh] = known.try_emplace(reference.to);
            if (fresh) at->second = settings_of(input.wiring.service(reference.to));
            for (const auto& [name, address] : at->second.advertised) {
              const auto bound = at->second.bound.find(name);
              const auto port = bound == at->second.bound.end() ? address.port : bound->second.port;
              if (port != *reference.port || !loopback(address.host)) continue;
              auto& services = sent[reference.to];
              if (std::ranges::find(services, reference.from) == services.end()) services.push_back(reference.from);
              wrong[reference.to] = address;
            }
          }
          for (auto& [id, clients] : sent) {
            const auto& address = wrong[id];
            auto names = quoted_names(input, clients);
            report.add(known[id].where, id, fmt::format("'{}' sends {} to {}:{}, which is each container itself", input.wiring.service(id).name, names, address.host, address.port));
          }
        },
};

}  // namespace dm::audit::rules

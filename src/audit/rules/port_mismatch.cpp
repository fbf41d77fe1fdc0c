#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/by_line.hpp"

namespace dm::audit::rules {
namespace {

/// "3030:3000" and a caller that takes 3030: the port in the container, 0 where it is not so plain.
std::uint32_t meant_within(const Input& input, const wiring::Reference& reference) {
  if (!reference.firm || !reference.port || reference.port_listens) return 0;
  if (reference.outcome != wiring::Reference::Outcome::reachable || reference.to == reference.from) return 0;
  const auto& target = input.wiring.service(reference.to);
  const auto number = std::to_string(*reference.port);
  // It may listen there all the same: a variable, an option or `expose` says so, or somebody else does in its network.
  const auto has = [&](const auto& word) { return word.value.find(number) != std::string_view::npos; };
  const auto says = [&](const auto& words) { return std::ranges::any_of(words, has); };
  if (says(target.expose) || says(target.command) || says(target.entrypoint)) return 0;
  if (std::ranges::any_of(target.environment, [&](const auto& variable) { return variable.value.value.find(number) != std::string_view::npos; })) return 0;
  if (std::ranges::any_of(target.ports, [&](const auto& port) { return port.target == *reference.port; })) return 0;
  const auto shares = fmt::format("service:{}", target.name);
  if (std::ranges::any_of(input.project.services, [&](const auto& other) { return other.network_mode.value == shares; })) return 0;
  const auto found = std::ranges::find(target.ports, std::string_view(number), &compose::Port::published);
  return found == target.ports.end() ? 0 : found->target;
}

/// A database or another known product that an env file for all brings the variable to: it reads no such thing.
bool reads_nothing(const Input& input, const wiring::Reference& reference) {
  const auto* product = input.wiring.product_of[reference.from];
  if (product == nullptr || reference.via != wiring::Reference::Via::environment) return false;
  const auto& service = input.wiring.service(reference.from);
  if (service.build != nullptr) return false;
  const auto* variable = service.env(reference.key);
  return variable != nullptr && variable->from_env_file && (!product->datastore.empty() || !product->data.empty());
}

}  // namespace

extern constinit const Rule port_mismatch{
    .id = "DM0204",
    .name = "port-mismatch",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a service is called on a port where it does not listen",
    .rationale = "The product listens on other ports, and nothing in the file moves them: the connection is "
                 "refused.",
    .fix = "Use the port that the product listens on.",
    .checks = "108",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@db:6432/app  # <- DM0204
      API_URL: http://api:3030/v1  # <- DM0204
  web:
    image: example/web:1.0
    environment:
      REDIS_URL: redis://cache:6739  # <- DM0204
  cache:
    image: redis:7.4
    ports: ["6739:6739"]
  db:
    image: postgres:17
  api:
    image: example/api:1.0
    ports: ["3030:3000"]
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@db:5432/app
  db:
    image: postgres:17
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@db:6432/app
      API_URL: http://api:3030/v1
      ADMIN_URL: http://admin:9000/v1
      OTHER_URL: http://other:7000/v1
  db:
    image: postgres:17
    environment:
      PGPORT: 6432
  api:
    image: example/api:1.0
    command: serve --admin :3030
    ports: ["3030:3000"]
  admin:
    image: example/admin:1.0
    ports: ["9000:9000", "9001:8000"]
  other:
    image: example/other:1.0
    ports: ["8080:80"]
  search:
    image: elasticsearch:8.17.0
    ports: ["127.0.0.1:1200:9200"]
    env_file: shared.env
    volumes: ["search:/usr/share/elasticsearch/data"]
  store:
    image: mysql:8.4
    env_file: shared.env
    volumes: ["store:/var/lib/mysql"]
volumes: {search: , store: }
-- shared.env
ES_HOST=search
ES_PORT=1200
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (auto& [reference, services] : by_line(input, [&](const auto& one) { return !reads_nothing(input, one) && meant_within(input, one) != 0; })) {
            auto message = fmt::format("{} told to call '{}' on port {} ({}), which is its port on the host", they_are(input, services), reference->host, *reference->port, reference->key);
            report.add_all({reference->where}, std::move(services), std::move(message), fmt::format("between containers it is {}, as far as its ports say", meant_within(input, *reference)));
          }
          const auto refused = [&](const wiring::Reference& one) {
            return one.firm && one.port_listens == std::optional<bool>(false) && one.to != one.from && !reads_nothing(input, one) && meant_within(input, one) == 0;
          };
          for (auto& [reference, services] : by_line(input, refused)) {
            std::string ports;
            for (const auto& listener : input.wiring.listeners)
              if (listener.service == reference->to) ports += fmt::format("{}{} ({})", ports.empty() ? "" : ", ", listener.port, listener.evidence);
            auto message = fmt::format("{} told to call '{}' on port {} ({}), where it does not listen", they_are(input, services), reference->host, *reference->port, reference->key);
            report.add_all({reference->where}, std::move(services), std::move(message), fmt::format("it listens on {}", ports));
          }
        },
};

}  // namespace dm::audit::rules

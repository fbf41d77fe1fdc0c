#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/env_file_known.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule datastore_port_public{
    .id = "DM0901",
    .name = "datastore-port-public",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a datastore is published on every interface",
    .rationale = "Docker's own firewall rules come before those of the host: the port is open to whoever reaches "
                 "the machine, ufw or not.",
    .fix = "Remove the port (services reach it over their network), or bind it to 127.0.0.1.",
    .checks = "31 O4",
    .bad = R"(services:
  db:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
    ports:
      - "5432:5432"  # <- DM0901
  next:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
    ports:
      - "${NEXT_PORT}:5432"  # <- DM0901
  cache:
    image: redis:7.4
    ports:
      - "6379:6379"  # <- DM0901
  events:
    image: confluentinc/cp-kafka:7.6.1
    ports:
      - "9092:9092"  # <- DM0901
    volumes: ["events:/var/lib/kafka/data"]
volumes: {events: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
    ports:
      - "127.0.0.1:5432:5432"
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    ports:
      - "80:80"
      - "443:443"
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            const auto& service = input.wiring.service(store.service);
            auto open = published_to_all(input, service);
            if (open.where.empty()) continue;
            const auto size = open.where.size();
            auto& finding =
                report.add_all(std::move(open.where), {store.service}, fmt::format("{} of '{}' is open on every interface at port{} {}", store.product->name, service.name, size == 1 ? "" : "s", open.list));
            if (!asks_no_password(input, store.service)) continue;
            finding.severity = Severity::critical;
            finding.message += ", and asks for no password";
          }
          // Brokers hold what others believe to be sent.
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->kind != "queue" || product->id == "mosquitto" || input.wiring.one_shot[id]) return;
            auto open = published_to_all(input, service);
            if (open.where.empty()) return;
            const auto asks = [](std::string_view text) { return text.find("SASL") != std::string_view::npos || text.find("SSL") != std::string_view::npos || text.find("java.security.auth") != std::string_view::npos; };
            const bool signs_in = product->id == "rabbitmq" || std::ranges::any_of(service.environment, [&](const auto& variable) { return asks(variable.value.value); }) ||
                                  std::ranges::any_of(config_files_of(input, id), [&](const auto& config) { return config.file != sources::kNoFile && asks(input.project.texts.at(config.file).content); }) ||
                                  std::ranges::any_of(service.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); });
            const auto size = open.where.size();
            auto& finding = report.add_all(std::move(open.where), {id}, fmt::format("{} of '{}' is open on every interface at port{} {}{}", product->name, service.name, size == 1 ? "" : "s", open.list,
                                                                                    signs_in ? "" : ", and asks nobody who he is"));
            if (signs_in) finding.severity = Severity::medium;
          });
        },
};

}  // namespace dm::audit::rules

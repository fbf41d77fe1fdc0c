#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule datastore_without_password{
    .id = "DM0512",
    .name = "datastore-without-password",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a database lets everybody in without a password",
    .rationale = "Whoever reaches the port reads and changes everything: every other service of its networks, and so "
                 "whoever breaks into one of them.",
    .fix = "Set a password (as a file under /run/secrets where the image can); PostgreSQL: drop "
           "`POSTGRES_HOST_AUTH_METHOD=trust`.",
    .checks = "49 O4",
    .bad = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_HOST_AUTH_METHOD: trust  # <- DM0512
    volumes: ["pg:/var/lib/postgresql/data"]
  web: {image: "example/web:1"}
volumes: {pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD_FILE: /run/secrets/pg
    secrets: [pg]
    volumes: ["pg:/var/lib/postgresql/data"]
  web: {image: "example/web:1"}
volumes: {pg: }
secrets: {pg: {file: ./pg.txt}}
-- pg.txt
x
)",
    .look_alike = R"(services:
  db:
    image: mariadb:11.4
    environment:
      MARIADB_ALLOW_EMPTY_ROOT_PASSWORD: "no"
      MARIADB_RANDOM_ROOT_PASSWORD: "yes"
    volumes: ["db:/var/lib/mysql"]
  local:
    image: postgres:17
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
    network_mode: none
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {db: , pg: }
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (service.network_mode.value == "none" || input.wiring.one_shot[id]) return;
            const compose::EnvVar* open = nullptr;
            for (const auto& variable : service.environment) {
              const auto value = variable.value.value;
              const auto on = [&] { return value == "1" || value == "yes" || value == "true" || value == "True" || value == "TRUE"; };
              const auto name = variable.name;
              if (name == "POSTGRES_HOST_AUTH_METHOD" && value.find("trust") != std::string_view::npos) open = &variable;
              if ((name == "MYSQL_ALLOW_EMPTY_PASSWORD" || name == "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD" || name == "MARIADB_ALLOW_EMPTY_PASSWORD" || name == "ALLOW_EMPTY_PASSWORD" ||
                   name == "ALLOW_ANONYMOUS_LOGIN") && on())
                open = &variable;
              if ((name == "xpack.security.enabled" || name == "plugins.security.disabled" || name == "DISABLE_SECURITY_PLUGIN") && (name.front() == 'x' ? value == "false" : on())) open = &variable;
              if (name == "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED" && on()) open = &variable;
            }
            if (open == nullptr) return;
            std::vector<ServiceId> others;
            for (ServiceId other = 0; other < input.project.services.size(); ++other)
              if (other != id && input.wiring.reachable(other, id)) others.push_back(other);
            const bool published = std::ranges::any_of(service.ports, every_interface);
            auto& finding = report.add(open->value.where() ? open->value.where() : open->where, id, fmt::format("'{}' lets everybody in without a password ({})", service.name, open->name),
                                       others.empty() ? "" : fmt::format("it is reached by {}", join_names(input, others)));
            if (published) finding.evidence = "its port is open on every interface";
            // Internal, and with its clients only: a break-in there still has it all, but no other service has.
            const bool closed = !published && std::ranges::all_of(service.networks, [&](const auto& use) {
              const auto* network = input.project.network(use.network);
              return network != nullptr && network->internal;
            });
            if (closed) finding.severity = Severity::medium;
          });
        },
};

}  // namespace dm::audit::rules

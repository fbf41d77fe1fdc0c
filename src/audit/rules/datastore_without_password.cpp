#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

bool trusts(std::string_view type) { return type == "trust" || type == "any"; }

/// `auth_type = trust` of a mounted pgbouncer.ini.
Location trusting_setting(const Input& input, ServiceId id) {
  for (const auto& config : input.wiring.config_files) {
    if (config.service != id || config.file == sources::kNoFile || !config.path.ends_with(".ini")) continue;
    const std::string_view text = input.project.texts.at(config.file).content;
    for (auto at = text.find("auth_type"); at != std::string_view::npos; at = text.find("auth_type", at + 1)) {
      if (at > 0 && text[at - 1] != '\n') continue;
      const auto line = text.substr(at, text.find('\n', at) - at);
      const auto equals = line.find('=');
      const auto begin = equals == std::string_view::npos ? equals : line.find_first_not_of(" \t", equals + 1);
      if (begin == std::string_view::npos) continue;
      const auto value = line.substr(begin, line.find_first_of(" \t\r;#", begin) - begin);
      if (trusts(value)) return {config.file, {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + begin + value.size())}};
    }
  }
  return {};
}

/// `listen_addresses=''`, for the running server or for the settings that initdb writes: who comes must have the socket.
bool socket_only(const compose::Service& service) {
  const auto empty = [](std::string_view text) {
    const auto at = text.find("listen_addresses=");
    if (at == std::string_view::npos) return false;
    const auto rest = text.substr(at + 17);
    return rest.empty() || rest.starts_with("''") || rest.starts_with("\"\"") || rest.starts_with(' ');
  };
  if (const auto* arguments = service.env("POSTGRES_INITDB_ARGS"); arguments != nullptr && empty(arguments->value.value)) return true;
  return std::ranges::any_of(service.command, [&](const auto& word) { return empty(word.value); });
}

/// A database of documents that asks nobody, on a network with services that have nothing to ask it.
void open_to_neighbours(const Input& input, Report& report, ServiceId id) {
  const auto& service = input.wiring.service(id);
  if (std::ranges::any_of(service.ports, every_interface) || !asks_no_password(input, id)) return;  // published: DM0901 says so
  std::vector<ServiceId> strangers;
  for (ServiceId other = 0; other < input.project.services.size(); ++other) {
    if (other == id || input.wiring.one_shot[other] || !input.wiring.reachable(other, id)) continue;
    const bool client = std::ranges::any_of(input.wiring.references, [&](const auto& reference) { return reference.from == other && reference.to == id; });
    const bool waits = std::ranges::any_of(input.wiring.service(other).depends_on, [&](const auto& dependency) { return dependency.service == service.name; });
    const bool store = std::ranges::any_of(input.wiring.datastores, [&](const auto& datastore) { return datastore.service == other; });
    if (!client && !waits && !store) strangers.push_back(other);
  }
  if (strangers.empty()) return;
  report.add(service.where, id, fmt::format("'{}' lets everybody in without a password", service.name), fmt::format("no MONGO_INITDB_ROOT_USERNAME and no `--auth`; these can reach it and need not: {}", join_names(input, strangers)),
             "set MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD before the first start, or give it a network that its clients alone are on")
      .severity = Severity::medium;
}

}  // namespace

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
  pooler:
    image: edoburu/pgbouncer:1.23.1
    environment: {DB_HOST: db, AUTH_TYPE: any}  # <- DM0512
  other:
    image: edoburu/pgbouncer:1.23.1
    volumes: ["./pgbouncer.ini:/etc/pgbouncer/pgbouncer.ini:ro"]
  cache:
    image: redis:7.4-alpine
    network_mode: host  # <- DM0512
    command: redis-server --appendonly yes
  documents:  # <- DM0512
    image: mongo:8.0
    volumes: ["mongo:/data/db"]
volumes: {mongo: , pg: }
-- pgbouncer.ini
[pgbouncer]
;auth_type = any
auth_type = trust  # <- DM0512
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
  socket:
    image: postgres:17
    command: ["postgres", "-c", "listen_addresses="]
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
    volumes: ["socket:/var/lib/postgresql/data", "run:/var/run/postgresql"]
  pooler:
    image: edoburu/pgbouncer:1.23.1
    environment: {DB_HOST: db, AUTH_TYPE: scram-sha-256}
  cache:
    image: redis:7.4-alpine
    network_mode: host
    command: ["redis-server", "--bind", "127.0.0.1"]
  queue:
    image: redis:7.4-alpine
    network_mode: host
    command: ["sh", "-c", "exec redis-server --requirepass $$REDIS_PASSWORD"]
  documents:
    image: mongo:8.0
    networks: [documents]
    volumes: ["mongo:/data/db"]
  sessions:
    image: redis:7.4-alpine
    command: ["redis-server", "--appendonly", "yes"]
    networks: [documents]
    volumes: ["sessions:/data"]
  wiki:
    image: example/wiki:1
    environment: {MONGO_URL: "mongodb://documents:27017/wiki", REDIS_URL: "redis://sessions:6379"}
    networks: [default, documents]
networks: {documents: {internal: true}}
volumes: {db: , mongo: , pg: , run: , sessions: , socket: }
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
              if (name == "POSTGRES_HOST_AUTH_METHOD" && value.find("trust") != std::string_view::npos && !socket_only(service)) open = &variable;
              if ((name == "MYSQL_ALLOW_EMPTY_PASSWORD" || name == "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD" || name == "MARIADB_ALLOW_EMPTY_PASSWORD" || name == "ALLOW_EMPTY_PASSWORD" ||
                   name == "ALLOW_ANONYMOUS_LOGIN") && on())
                open = &variable;
              if ((name == "xpack.security.enabled" || name == "plugins.security.disabled" || name == "DISABLE_SECURITY_PLUGIN") && (name.front() == 'x' ? value == "false" : on())) open = &variable;
              if (name == "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED" && on()) open = &variable;
            }
            const auto* product = input.wiring.product_of[id];
            Location where;
            std::string setting;
            if (product != nullptr && product->id == "pgbouncer") {
              for (const auto name : {"AUTH_TYPE", "PGBOUNCER_AUTH_TYPE"})
                if (const auto* variable = service.env(name); variable != nullptr && trusts(variable->value.value)) open = variable;
              if (open == nullptr) where = trusting_setting(input, id);
              if (where) setting = "auth_type";
            }
            const bool on_host = open == nullptr && !where && service.network_mode.value == "host" && product != nullptr && (product->id == "redis" || product->id == "valkey") && asks_no_password(input, id);
            if (on_host) where = service.network_mode.where(), setting = "no requirepass";
            if (open != nullptr) where = open->value.where() ? open->value.where() : open->where, setting = open->name;
            if (setting.empty()) {
              if (product != nullptr && product->id == "mongodb") open_to_neighbours(input, report, id);
              return;
            }
            std::vector<ServiceId> others;
            for (ServiceId other = 0; other < input.project.services.size(); ++other)
              if (other != id && input.wiring.reachable(other, id)) others.push_back(other);
            const bool published = std::ranges::any_of(service.ports, every_interface);
            auto& finding = report.add(where, id, fmt::format("'{}' lets everybody in without a password ({})", service.name, setting),
                                       others.empty() ? "" : fmt::format("these can reach it: {}", join_names(input, others)));
            if (published) finding.evidence = "its port is open on every interface";
            if (on_host) {
              finding.evidence = "it listens on every address of the host, and its image switches Redis' protected mode off";
              return;
            }
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

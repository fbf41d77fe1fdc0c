#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Variables that are written for an image again and again, and that it does not know.
struct Unread {
  std::string_view product, name;
  std::string_view meant;  ///< the variable that it reads; "" = none does that
};
constexpr Unread kUnread[] = {{"postgres", "POSTGRES_DATABASE", "POSTGRES_DB"},
                              {"postgres", "POSTGRES_USERNAME", "POSTGRES_USER"},
                              {"postgres", "POSTGRES_PASS", "POSTGRES_PASSWORD"},
                              {"mysql", "MYSQL_DB", "MYSQL_DATABASE"},
                              {"mysql", "MYSQL_USERNAME", "MYSQL_USER"},
                              {"mysql", "MYSQL_PASS", "MYSQL_PASSWORD"},
                              {"mariadb", "MARIADB_DB", "MARIADB_DATABASE"},
                              {"mariadb", "MARIADB_USERNAME", "MARIADB_USER"},
                              {"mongodb", "MONGO_INITDB_USERNAME", "MONGO_INITDB_ROOT_USERNAME"},
                              {"mongodb", "MONGO_INITDB_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD"},
                              {"redis", "REDIS_PASSWORD", ""},
                              {"redis", "REQUIREPASS", ""},
                              {"valkey", "VALKEY_PASSWORD", ""},
                              {"valkey", "REDIS_PASSWORD", ""}};

/// What newer versions of an image do not read any more: from `since` on, as the tag counts.
struct Dropped {
  std::string_view product, since;
  std::span<const std::string_view> names;
  std::string_view effect, hint;
};
constexpr std::string_view kN8n[] = {"N8N_BASIC_AUTH_ACTIVE", "N8N_BASIC_AUTH_USER", "N8N_BASIC_AUTH_PASSWORD"};  // https://docs.n8n.io/1-0-migration-checklist/
constexpr std::string_view kPihole[] = {"WEBPASSWORD", "PIHOLE_DNS_", "DNS1", "DNS2", "DNSMASQ_LISTENING", "DNSSEC", "REV_SERVER", "WEB_PORT", "CUSTOM_CACHE_SIZE", "QUERY_LOGGING", "DHCP_ACTIVE"};  // https://docs.pi-hole.net/docker/upgrading/v5-v6/
constexpr std::string_view kBookstack[] = {"DB_USER", "DB_PASS"};  // https://github.com/BookStackApp/BookStack/issues/5942
constexpr Dropped kDropped[] = {
    {"bookstack", "25", kBookstack, "it goes to the database as the user of an example", "write DB_USERNAME and DB_PASSWORD"},
    {"n8n", "1", kN8n, "who comes first makes the owner's account, and no password is asked for before that", "take them out; the account that n8n asks for at the first visit is its sign-in: make it before others can reach the port"},
    {"pihole", "2025", kPihole, "its password is a random one, and its settings are the defaults", "write FTLCONF_webserver_api_password, FTLCONF_dns_upstreams and the like"}};

/// Images that run as whom they like and read no PUID, although those of LinuxServer.io of the same program do.
constexpr std::string_view kNoPuid[] = {"postgres", "mysql", "mariadb", "mongodb", "redis", "valkey", "nextcloud", "jellyfin", "grafana", "prometheus", "home-assistant", "wordpress", "traefik", "caddy", "nginx", "gitea", "vaultwarden", "n8n", "immich", "portainer", "influxdb", "rabbitmq", "node-red"};

/// Written for scripts that make further databases and roles (and for Bitnami's image), which must be mounted.
constexpr std::string_view kOfScripts[] = {"POSTGRES_MULTIPLE_DATABASES", "POSTGRES_MULTIPLE_DBS", "POSTGRES_ADDITIONAL_DATABASES", "POSTGRES_EXTRA_DATABASES", "POSTGRES_REPLICATION_USER", "POSTGRES_REPLICATION_PASSWORD", "POSTGRES_REPLICATION_MODE"};

/// A mounted file of the first start, or one that it may read, speaks of the variable, or cannot be read here.
bool script_reads(const Input& input, ServiceId id, std::string_view name) {
  const auto& service = input.wiring.service(id);
  for (const auto& mount : service.mounts) {
    if (!mount.target.starts_with("/docker-entrypoint-initdb.d")) continue;
    if (mount.type != compose::Mount::Type::bind) return true;
    const auto kind = input.files.stat(std::string(mount.source)).kind;
    std::size_t wanted = kind == sources::Kind::directory ? input.files.list(std::string(mount.source)).size() : 1, read = 0;
    for (const auto& config : config_files_of(input, id)) {
      if (config.mount != &mount || config.file == sources::kNoFile) continue;
      if (input.project.texts.at(config.file).content.find(name) != std::string::npos) return true;
      ++read;
    }
    if (read < wanted) return true;
  }
  return !service.configs.empty();
}

/// The version that the tag begins with is `since` or later; "latest" and no tag are the newest.
bool from_on(std::string_view image, std::string_view since) {
  auto tag = product::split_image(image).tag;
  if (tag.empty() || tag == "latest" || tag == "stable" || tag == "next" || tag == "nightly") return true;
  if (tag.starts_with('v')) tag.remove_prefix(1);
  const auto number = [](std::string_view text) {
    int out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
  };
  return !tag.empty() && tag[0] >= '0' && tag[0] <= '9' && number(tag) >= number(since);
}

/// `POSTGRES_DATABASE: app` beside `POSTGRES_USER: app`: without POSTGRES_DB the database is called after the user.
bool by_default(const compose::Service& service, const compose::EnvVar& variable) {
  const auto* user = service.env("POSTGRES_USER");
  if (variable.name == "POSTGRES_DATABASE") return variable.value.value == (user != nullptr ? user->value.value : std::string_view("postgres"));
  return variable.name == "POSTGRES_USERNAME" && variable.value.value == "postgres";
}

}  // namespace

extern constinit const Rule variable_not_read{
    .id = "DM0127",
    .name = "variable-not-read",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "a variable that the image does not know",
    .rationale = "The entrypoint looks for other names and passes this one by without a word: the database or the user is not made, and Redis, whose official image "
                 "reads no variable at all, has no password.",
    .fix = "Write the name that the image reads. Redis and Valkey: `command: redis-server --requirepass ...`, better a file of settings that holds it.",
    .checks = "118",
    .bad = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      POSTGRES_DATABASE: shop  # <- DM0127
      POSTGRES_MULTIPLE_DATABASES: shop,wiki  # <- DM0127
    volumes: ["pg:/var/lib/postgresql/data"]
  cache:
    image: redis:7.4
    environment:
      REDIS_PASSWORD: ${REDIS_PASSWORD:?}  # <- DM0127
  flows:
    image: n8nio/n8n:1.80.0
    environment:
      N8N_BASIC_AUTH_ACTIVE: "true"  # <- DM0127
      N8N_BASIC_AUTH_PASSWORD: ${FLOWS_PASSWORD:?}
    volumes: ["flows:/home/node/.n8n"]
  names:
    image: pihole/pihole:latest
    environment:
      WEBPASSWORD: ${NAMES_PASSWORD:?}  # <- DM0127
    volumes: ["names:/etc/pihole"]
  films:
    image: jellyfin/jellyfin:10.10.7
    environment:
      - PUID=1000  # <- DM0127
    volumes: ["films:/config"]
volumes: {films: , flows: , names: , pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      POSTGRES_DB: shop
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      POSTGRES_DB: shop
      POSTGRES_DATABASE: shop
    volumes: ["pg:/var/lib/postgresql/data"]
  cache:
    image: redis:7.4
    command: sh -c 'redis-server --requirepass "$$REDIS_PASSWORD"'
    environment:
      REDIS_PASSWORD: ${REDIS_PASSWORD:?}
  other:
    image: bitnamilegacy/redis:7.4
    environment:
      REDIS_PASSWORD: ${REDIS_PASSWORD:?}
  scripted:
    image: redis:7.4
    command: sh /start.sh
    environment: {REDIS_PASSWORD: "${REDIS_PASSWORD:?}"}
  flags:
    image: valkey/valkey:8
    environment: {VALKEY_PASSWORD: "${REDIS_PASSWORD:?}", VALKEY_EXTRA_FLAGS: "--requirepass ${REDIS_PASSWORD:?}"}
  shared:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_DATABASE: app, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["shared:/var/lib/postgresql/data"]
  flows:
    image: n8nio/n8n:0.236.3
    environment: {N8N_BASIC_AUTH_ACTIVE: "true"}
    volumes: ["flows:/home/node/.n8n"]
  names:
    image: pihole/pihole:2024.07.0
    environment: {WEBPASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["names:/etc/pihole"]
  several:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}", POSTGRES_MULTIPLE_DATABASES: "shop,wiki"}
    volumes: ["several:/var/lib/postgresql/data", "./several.sh:/docker-entrypoint-initdb.d/several.sh:ro"]
  films:
    image: lscr.io/linuxserver/jellyfin:10.10.7
    environment: {PUID: 1000, PGID: 1000}
    volumes: ["films:/config"]
  first:
    image: mysql:8.4
    environment: {MYSQL_DB: shop, MYSQL_ROOT_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["first:/var/lib/mysql", "./init.sh:/docker-entrypoint-initdb.d/init.sh:ro"]
volumes: {films: , first: , flows: , names: , pg: , several: , shared: }
-- several.sh
for one in $(echo "$POSTGRES_MULTIPLE_DATABASES" | tr , ' '); do createdb "$one"; done
-- init.sh
mysql -e "create database $MYSQL_DB"
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || service.build != nullptr || service.entrypoint_node != nullptr) return;
            const auto name_all = [&](std::span<const std::string_view> names) {
              std::pair<std::vector<Location>, std::string> out;
              for (const auto& variable : service.environment) {
                if (variable.from_env_file || !variable.where || std::ranges::find(names, std::string_view(variable.name)) == names.end()) continue;
                out.second += fmt::format("{}{}", out.first.empty() ? "" : ", ", variable.name);
                out.first.push_back(variable.where);
              }
              return out;
            };
            for (const auto& dropped : kDropped) {
              if (dropped.product != product->id || !from_on(service.image.value, dropped.since)) continue;
              if (auto [where, list] = name_all(dropped.names); !where.empty())
                report.add_all(std::move(where), {id}, fmt::format("{} of '{}' {} no longer read by {}", list, service.name, list.find(',') == std::string::npos ? "is" : "are", product->name), std::string(dropped.effect), std::string(dropped.hint));
            }
            constexpr std::string_view kPuid[] = {"PUID", "PGID"};
            if (std::ranges::find(kNoPuid, std::string_view(product->id)) != std::end(kNoPuid) && service.image.value.find("linuxserver/") == std::string_view::npos && service.command.empty())
              if (auto [where, list] = name_all(kPuid); !where.empty())
                report.add_all(std::move(where), {id}, fmt::format("the image of {} does not read {} of '{}'", product->name, list, service.name), "images of LinuxServer.io do; this one runs, and owns its files, as before", service.user ? "take them out" : "write `user: \"1000:1000\"` where the image may run as another user, or take them out")
                    .severity = Severity::low;
            if (product->id == "postgres" && product::split_image(service.image.value).repository.find("bitnami") == std::string_view::npos && service.command.empty())
              for (const auto name : kOfScripts)
                if (const auto* variable = service.env(name); variable != nullptr && !variable->from_env_file && !variable->value.value.empty() && !script_reads(input, id, name))
                  report.add(variable->where, id, fmt::format("nothing in '{}' reads {}", service.name, name), "neither the image of PostgreSQL nor a script of its first start", "mount a script at /docker-entrypoint-initdb.d that does what it says");
            for (const auto& unread : kUnread) {
              if (unread.product != product->id) continue;
              const auto* variable = service.env(unread.name);
              // A script of the first start may read it; who gives the default says nothing that is not so.
              const bool scripts = std::ranges::any_of(service.mounts, [](const auto& mount) { return mount.target.starts_with("/docker-entrypoint-initdb.d"); });
              if (variable == nullptr || (scripts && !unread.meant.empty()) || by_default(service, *variable) || variable->from_env_file || (variable->value.value.empty() && is_literal(*variable->value.node))) continue;
              if (unread.meant.empty()) {
                if (!asks_no_password(input, id)) continue;  // a command, or a file, sets one
                report.add(variable->where, id, fmt::format("'{}' has no password: the image of {} does not read {}", service.name, product->name, unread.name)).severity = Severity::high;
              } else if (service.env(unread.meant) == nullptr && service.env(std::string(unread.meant) + "_FILE") == nullptr) {
                report.add(variable->where, id, fmt::format("the image of {} does not read {} of '{}'", product->name, unread.name, service.name), "", fmt::format("write {}", unread.meant));
              }
            }
          });
        },
};

}  // namespace dm::audit::rules

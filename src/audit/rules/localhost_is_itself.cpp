#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "audit/rules/helpers.hpp"
#include "audit/rules/shared_network.hpp"
#include "formats/settings.hpp"

namespace dm::audit::rules {
namespace {

bool loopback(std::string_view host) { return host == "localhost" || host.starts_with("127.") || host == "0.0.0.0" || host == "::1" || host == "::"; }

/// Another site or server of the same file listens on the port: `:8080 {`, `listen 8080;`.
bool serves_itself(std::string_view text, std::uint16_t port) {
  const auto number = std::to_string(port);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t at = text.find(number); at != std::string_view::npos; at = text.find(number, at + 1)) {
    const auto end = at + number.size();
    if ((at > 0 && digit(text[at - 1])) || (end < text.size() && digit(text[end]))) continue;
    const auto from = text.rfind('\n', at) + 1;  // npos + 1 is the begin
    const auto row = text.substr(from, std::min(text.find('\n', at), text.size()) - from);
    const auto first = row.find_first_not_of(" \t");
    const auto last = row.find_last_not_of(" \t\r");
    if (row.substr(first).starts_with("listen") || (row[last] == '{' && row.substr(first).find("proxy") == std::string_view::npos)) return true;
  }
  return false;
}

/// Some file of the service makes it listen there, or may: a folder of its configuration that cannot be read.
bool may_serve_itself(const Input& input, ServiceId id, std::uint16_t port) {
  for (const auto& config : input.wiring.config_files)
    if (config.service == id && config.file != sources::kNoFile && serves_itself(input.project.texts.at(config.file).content, port)) return true;
  const auto inside = input.project.folder == "/" ? input.project.folder : input.project.folder + "/";
  return std::ranges::any_of(input.wiring.service(id).mounts, [&](const compose::Mount& mount) {
    if (!mount.target.starts_with("/etc/nginx") && !mount.target.starts_with("/etc/caddy") && mount.target.find("conf.d") == std::string_view::npos) return false;
    for (const std::string_view other : {"cert", "ssl", "tls", "letsencrypt", "auth", "htpasswd", "dhparam", "html"})
      if (mount.target.find(other) != std::string_view::npos) return false;
    if (mount.type != compose::Mount::Type::bind || !mount.source.starts_with(inside)) return true;
    const auto kind = input.files.stat(std::string(mount.source)).kind;
    return kind != sources::Kind::regular && (kind != sources::Kind::directory || input.files.list(std::string(mount.source)).empty());
  });
}

/// The datastore that a URL's scheme is for.
std::string_view store_of(std::string_view scheme) {
  struct Scheme {
    std::string_view name, store;
  };
  static constexpr std::array kSchemes{Scheme{"postgres", "postgres"}, Scheme{"postgresql", "postgres"}, Scheme{"mysql", "mysql"}, Scheme{"mysql2", "mysql"}, Scheme{"mariadb", "mysql"},
                                       Scheme{"mongodb", "mongodb"},   Scheme{"redis", "redis"},         Scheme{"rediss", "redis"}};
  scheme = scheme.substr(0, scheme.find('+'));
  const auto found = std::ranges::find(kSchemes, scheme, &Scheme::name);
  return found == kSchemes.end() ? std::string_view() : found->store;
}

bool keeps(std::string_view store, const product::Product* product) {
  if (product == nullptr) return false;
  const std::string_view id = product->datastore.empty() ? std::string_view(product->id) : std::string_view(product->datastore);
  return id == store || (store == "mysql" && id == "mariadb") || (store == "redis" && (id == "valkey" || id.find("redis") != std::string_view::npos));
}

/// Alertmanager's own container has no mail server and no receiver of webhooks.
void alerts_to_itself(const Input& input, Report& report) {
  for (const auto& config : input.wiring.config_files) {
    const auto* product = input.wiring.product_of[config.service];
    if (product == nullptr || product->id != "alertmanager" || config.file == sources::kNoFile || (!config.path.ends_with(".yml") && !config.path.ends_with(".yaml"))) continue;
    const auto& service = input.wiring.service(config.service);
    if (service.network_mode) continue;
    const auto settings = formats::read_settings(formats::Format::yaml, input.project.texts.at(config.file).content);
    if (!settings) continue;
    std::vector<Location> where;
    std::string first;
    for (const auto& setting : *settings) {
      const bool url = setting.key.ends_with(".url") && setting.key.find("webhook_configs") != std::string::npos;
      if (!url && !setting.key.ends_with("smtp_smarthost") && !setting.key.ends_with(".smarthost")) continue;
      std::string_view host = setting.value;
      if (const auto scheme = host.find("://"); scheme != std::string_view::npos) host.remove_prefix(scheme + 3);
      host = host.substr(0, host.find_first_of(":/"));
      if (!loopback(host)) continue;
      if (first.empty()) first = setting.value;
      where.push_back({config.file, setting.value_span});
    }
    if (where.empty()) continue;
    report.add_all(std::move(where), {config.service}, fmt::format("'{}' sends its alerts to {}, which is its own container: nobody hears of them", service.name, first), {}, "name the service that takes them, or a receiver that reaches a person; then send a test alert (`amtool alert add`)");
  }
}

}  // namespace

extern constinit const Rule localhost_is_itself{
    .id = "DM0212",
    .name = "localhost-is-itself",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "localhost, where another container or the host is meant",
    .rationale = "Inside a container localhost is the container: a proxy answers 502, an application does not find its database. It worked "
                 "while the program ran on the host itself.",
    .fix = "Name the service (`reverse_proxy app:3000`, `@db:5432`). For a program on the host write `host.docker.internal` and add "
           "`extra_hosts: [\"host.docker.internal:host-gateway\"]`.",
    .checks = "105",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  app:
    image: example/app:1.0
    expose: [3000]
    environment:
      DATABASE_URL: postgresql://app:${DB_PASSWORD:?}@localhost:5432/app  # <- DM0212
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  alerts:
    image: prom/alertmanager:v0.28.0
    volumes: ["./alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro"]
volumes: {pg: }
-- alertmanager.yml
route: {receiver: all}
receivers:
  - name: all
    webhook_configs:
      - url: http://127.0.0.1:5001/  # <- DM0212
-- Caddyfile
app.example.org {
	reverse_proxy localhost:3000  # <- DM0212
}
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  app:
    image: example/app:1.0
    expose: [3000]
    environment:
      DATABASE_URL: postgresql://app:${DB_PASSWORD:?}@db:5432/app
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
-- Caddyfile
app.example.org {
	reverse_proxy app:3000
}
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    network_mode: host
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  inner:
    image: caddy:2.8.4
    ports: ["443:443"]
    volumes: ["./inner.Caddyfile:/etc/caddy/Caddyfile:ro"]
  pod:
    image: nginx:1.27
    volumes: ["./pod.conf:/etc/nginx/conf.d/default.conf:ro"]
  php:
    image: php:8.3-fpm
    network_mode: service:pod
  two:
    image: nginx:1.27
    volumes: ["./two:/etc/nginx/conf.d:ro"]
  apart:
    image: nginx:1.27
    volumes: ["./two/default.conf:/etc/nginx/conf.d/default.conf:ro", "sites:/etc/nginx/sites:ro"]
  own:
    image: example/nginx-and-app:1.0
    volumes: ["./pod.conf:/etc/nginx/conf.d/default.conf:ro"]
    environment:
      CACHE_URL: redis://localhost:6379
      PUBLIC_URL: http://localhost:3000
  shop:
    image: example/shop:1.0
    env_file: shop.env
    environment: {DATABASE_URL: "postgresql://shop@stock:5432/shop"}
  search:
    image: example/search:1.0
    env_file: shop.env
  alerts:
    image: prom/alertmanager:v0.28.0
    network_mode: host
    volumes: ["./alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro"]
  others:
    image: prom/alertmanager:v0.28.0
    volumes: ["./others.yml:/etc/alertmanager/alertmanager.yml:ro"]
  stock:
    image: postgres:17
    volumes: ["stock:/var/lib/postgresql/data"]
volumes: {sites: , stock: }
-- alertmanager.yml
route: {receiver: all}
receivers: [{name: all, webhook_configs: [{url: "http://127.0.0.1:5001/"}]}]
-- others.yml
route: {receiver: all}
receivers: [{name: all, webhook_configs: [{url: "http://hook:5001/"}]}]
-- shop.env
DATABASE_URL=postgresql://shop@localhost:5432/shop
-- two/default.conf
server {
  listen 80;
  location / { proxy_pass http://127.0.0.1:8080; }
}
-- two/other.conf
server {
  listen 8080;
  location / { return 200; }
}
-- Caddyfile
app.example.org {
	reverse_proxy localhost:3000
}
-- inner.Caddyfile
app.example.org {
	reverse_proxy localhost:8081
}
http://:8081 {
	respond "ok"
}
-- pod.conf
server {
  listen 80;
  location / { proxy_pass http://127.0.0.1:9000; }
}
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          alerts_to_itself(input, report);
          const auto& wiring = input.wiring;
          std::set<std::string_view> own;  // what some service sets beside its env files
          for (const auto& service : input.project.services)
            for (const auto& variable : service.environment)
              if (!variable.from_env_file) own.insert(variable.name);
          const auto lent = lends_network(input);
          for (const auto& reference : wiring.references) {
            if (reference.outcome != wiring::Reference::Outcome::self || !reference.port || !loopback(reference.host)) continue;
            const auto& from = wiring.service(reference.from);
            const auto* product = wiring.product_of[reference.from];
            if (from.network_mode || lent.contains(from.name)) continue;  // the host's network, or one that a service beside it shares
            // One env file for all, and who needs the variable is given another value under `environment:`; the others do not read it.
            if (const auto* variable = from.env(reference.key); variable != nullptr && variable->from_env_file && own.contains(reference.key)) continue;
            std::string other;
            const auto find_other = [&](const auto& is) {
              for (ServiceId id = 0; id < input.project.services.size() && other.empty(); ++id)
                if (id != reference.from && is(id)) other = wiring.service(id).name;
            };
            if (reference.via == wiring::Reference::Via::proxy_route) {
              if (product == nullptr || product->kind != "proxy" || from.build != nullptr || reference.where.file == sources::kNoFile) continue;
              if (*reference.port == 2019 || may_serve_itself(input, reference.from, *reference.port)) continue;
              find_other([&](ServiceId id) { return wiring.listens(id, *reference.port) == std::optional<bool>(true); });
            } else if (reference.via == wiring::Reference::Via::environment && reference.firm) {
              const auto store = store_of(reference.scheme);
              if (store.empty() || keeps(store, product)) continue;
              find_other([&](ServiceId id) { return keeps(store, wiring.product_of[id]); });
              if (other.empty()) continue;
            } else {
              continue;
            }
            report.add(reference.where, reference.from, fmt::format("'{}' calls {}:{} ({}), which is its own container, and nothing listens there", from.name, reference.host, *reference.port, reference.key),
                       {}, other.empty() ? "" : fmt::format("write {}:{}", other, *reference.port));
          }
        },
};

}  // namespace dm::audit::rules

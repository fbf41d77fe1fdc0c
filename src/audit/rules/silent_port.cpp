#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "audit/rules/env_file_known.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/rules/shared_network.hpp"
#include "formats/nginx.hpp"
#include "formats/settings.hpp"

namespace dm::audit::rules {
namespace {

/// The port at the end of `80`, `[::]:80`, `0.0.0.0:80`; 0 for none.
std::uint32_t port_at_end(std::string_view text) {
  const auto digits = text.substr(text.find_last_not_of("0123456789") + 1);
  if (digits.empty() || digits.size() > 5) return 0;
  if (digits.size() != text.size() && text[text.size() - digits.size() - 1] != ':') return 0;
  std::uint32_t port = 0;
  for (const char c : digits) port = port * 10 + static_cast<std::uint32_t>(c - '0');
  return port <= 65535 ? port : 0;
}

/// What a service listens on by all that its files say; unknown where some of that cannot be read.
struct Known {
  std::set<std::uint32_t> ports;
  bool sure = false;
  std::string by;
};

/// Collects `listen`; false where an `include` or a name of a variable leaves something open.
bool collect(const std::vector<formats::NginxDirective>& directives, const compose::Service& service, std::set<std::uint32_t>& ports) {
  for (const auto& one : directives) {
    if (one.name.text == "listen" && !one.arguments.empty()) {
      const auto& address = one.arguments[0].text;
      if (address.starts_with("unix:")) continue;
      const auto port = port_at_end(address);
      if (port == 0 && address.find('$') != std::string::npos) return false;
      ports.insert(port == 0 ? 80 : port);  // `listen localhost;`
    }
    if (one.name.text == "server" && one.has_block && std::ranges::none_of(one.block, [](const auto& inner) { return inner.name.text == "listen" || inner.name.text == "include"; }) && one.arguments.empty() &&
        std::ranges::any_of(one.block, [](const auto& inner) { return inner.name.text == "location" || inner.name.text == "server_name"; }))
      ports.insert(80);
    if (one.name.text == "include" && !one.arguments.empty()) {
      const auto& path = one.arguments[0].text;
      const bool known = path.ends_with("mime.types") || path.ends_with("fastcgi_params") || path.ends_with("proxy_params") || path.ends_with("uwsgi_params") ||
                         (path.ends_with("conf.d/*.conf") && mount_of(service, "/etc/nginx/conf.d") != nullptr);
      if (!known) return false;
    }
    if (one.has_block && !collect(one.block, service, ports)) return false;
  }
  return true;
}

/// The image's own start with files that are all of the project's.
Known of_nginx(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  Known out;
  out.by = "its files have no `listen` for it";
  bool main = false, sites = false, folder = false;
  for (const auto& mount : service.mounts) {
    if (mount.target == "/etc/nginx" || mount.target.starts_with("/etc/nginx/templates") || mount.target.starts_with("/docker-entrypoint.d") || mount.target.find("stream") != std::string_view::npos || mount.target.find("sites-enabled") != std::string_view::npos) return out;
    main = main || mount.target == "/etc/nginx/nginx.conf";
    folder = folder || mount.target == "/etc/nginx/conf.d";
    sites = sites || mount.target == "/etc/nginx/conf.d" || mount.target == "/etc/nginx/conf.d/default.conf";
  }
  if (!main && !sites) return out;
  std::size_t read = 0;
  for (const auto& config : config_files_of(input, id)) {
    if (config.mount == nullptr) continue;
    const auto& target = config.mount->target;
    if (target != "/etc/nginx/nginx.conf" && !target.starts_with("/etc/nginx/conf.d")) continue;
    if (target == "/etc/nginx/conf.d" && !config.path.ends_with(".conf")) continue;
    if (config.format != "nginx" || config.file == sources::kNoFile) return out;
    const auto parsed = formats::parse_nginx(input.project.texts.at(config.file).content);
    if (!parsed || !collect(*parsed, service, out.ports)) return out;
    ++read;
  }
  // Each of the mounts must have been read.
  std::size_t wanted = 0;
  for (const auto& mount : service.mounts)
    if (mount.target == "/etc/nginx/nginx.conf" || (mount.target.starts_with("/etc/nginx/conf.d") && mount.target.ends_with(".conf"))) ++wanted;
  if (read < wanted + (folder ? 1 : 0) || out.ports.empty()) return out;
  if (main && !sites) {  // the image's own site stays, where the main file includes it
    for (const auto& config : config_files_of(input, id))
      if (config.mount != nullptr && config.mount->target == "/etc/nginx/nginx.conf" && input.project.texts.at(config.file).content.find("conf.d") != std::string::npos) out.ports.insert(80);
  }
  out.sure = true;
  return out;
}

/// `listener 8883` and `port 1883` of the one file of Mosquitto.
Known of_mosquitto(const Input& input, ServiceId id) {
  Known out;
  for (const auto& word : input.wiring.service(id).command)
    if (word.value.find("mosquitto-no-auth.conf") != std::string_view::npos) return {{1883}, true, "the image's mosquitto-no-auth.conf has 1883 only"};
  for (const auto& config : config_files_of(input, id)) {
    if (config.file == sources::kNoFile || !config.path.ends_with("mosquitto.conf")) continue;
    const std::string_view text = input.project.texts.at(config.file).content;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      auto line = text.substr(at, end - at);
      at = end + 1;
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      if (line.starts_with("include_dir")) return {};
      if (!line.starts_with("listener ") && !line.starts_with("port ")) continue;
      line.remove_prefix(line.find(' ') + 1);
      line = line.substr(0, line.find_first_of(" \t\r"));
      if (const auto port = port_at_end(line); port != 0) out.ports.insert(port);
    }
    out.sure = !out.ports.empty();
    out.by = fmt::format("{} has no `listener` for it", sources::relative_to(config.path, input.project.folder));
  }
  return out;
}

/// Version 2 or later: from there on who has no file of settings listens to itself alone, and a listener asks for a sign-in
/// (https://mosquitto.org/documentation/migrating-to-2-0/).
bool of_two(std::string_view image) {
  const auto tag = product::split_image(image).tag;
  return tag.empty() || tag == "latest" || tag == "openssl" || tag.starts_with("2");
}

/// Nothing of its settings is the project's: no mount, no other file named by its command.
bool without_settings(const compose::Service& service) {
  return service.command.empty() && std::ranges::none_of(service.mounts, [](const auto& mount) { return mount.target.starts_with("/mosquitto/config") || mount.target == "/mosquitto" || mount.target.starts_with("/etc/mosquitto"); });
}

/// Its first listener, where nothing says who may come in; nothing where somebody may.
std::optional<text::Span> lets_nobody_in(std::string_view text) {
  std::optional<text::Span> listener;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    at = end + 1;
    for (const std::string_view way : {"password_file", "psk_file", "plugin", "auth_plugin", "require_certificate true", "include_dir", "allow_anonymous true", "auth_opt", "per_listener"})
      if (line.starts_with(way)) return std::nullopt;
    if (!listener && (line.starts_with("listener ") || line.starts_with("port "))) listener = text::Span{static_cast<std::uint32_t>(end - line.size()), static_cast<std::uint32_t>(end)};
  }
  return listener;
}

/// The port of Zigbee2MQTT's pages, as its file beside the project's says it.
Known of_zigbee2mqtt(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  const auto* mount = mount_of(service, "/app/data");
  if (mount == nullptr || mount->type != compose::Mount::Type::bind || mount->target != "/app/data" || service.env("ZIGBEE2MQTT_CONFIG_FRONTEND_PORT") != nullptr) return {};
  const auto path = std::string(mount->source) + "/configuration.yaml";
  const auto text = input.files.read(path, 1U << 20U);
  if (!text) return {};
  const auto settings = formats::read_settings(formats::Format::yaml, *text);
  if (!settings) return {};
  Known out;
  for (const auto& setting : *settings)
    if (setting.key == "frontend.port") out.ports.insert(port_at_end(setting.value));
  out.sure = !out.ports.empty() && !out.ports.contains(0);
  out.by = fmt::format("{} has another `frontend: port:`", sources::relative_to(path, input.project.folder));
  return out;
}

/// Products that have the same ports in all versions and variants of their image, and no more with an option. Not Node-RED, whose flows listen
/// where they like, and not Immich, which had other ports and gives its numbers on further ones.
constexpr std::string_view kSteady[] = {"grafana", "prometheus", "alertmanager", "loki", "node-exporter", "uptime-kuma", "postgres", "mysql", "mariadb", "mongodb", "qdrant", "ollama", "open-webui",
                                        "homepage", "paperless-ngx", "planka"};

/// What moves the port of MySQL and MariaDB beside their files.
bool moved(const compose::Service& service) { return service.env("MYSQL_TCP_PORT") != nullptr; }

/// A product with known ports that nothing moves.
Known of_product(const Input& input, ServiceId id) {
  Known out;
  if (std::ranges::find(kSteady, std::string_view(input.wiring.product_of[id]->id)) == std::end(kSteady)) return out;
  if (moved(input.wiring.service(id))) return out;
  out.by = fmt::format("{} listens elsewhere, and nothing in the files moves it", input.wiring.product_of[id]->name);
  const auto& listeners = input.wiring.listeners;  // in project order
  const auto end = std::ranges::upper_bound(listeners, id, {}, &wiring::Listener::service);
  for (auto one = std::ranges::lower_bound(listeners, id, {}, &wiring::Listener::service); one != end; ++one) {
    const auto& listener = *one;
    if (!listener.evidence.starts_with("product ")) continue;
    if (!listener.certain) return {};
    out.ports.insert(listener.port);
    out.sure = true;
  }
  return out;
}

}  // namespace

extern constinit const Rule silent_port{
    .id = "DM0213",
    .name = "silent-port",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "a published port that nothing in the container answers on",
    .rationale = "The engine takes the port of the host, and every connection to it is refused. What was meant to be there (HTTPS, MQTT over TLS, a dashboard) is not, "
                 "and who reads the ports believes it is.",
    .fix = "Make the service listen there, or publish the port where it does (`HOST:CONTAINER`: the second number is the service's own).",
    .checks = "108",
    .bad = R"(services:
  edge:
    image: nginx:1.27
    ports:
      - "80:80"
      - "443:443"  # <- DM0213
    volumes: ["./site.conf:/etc/nginx/conf.d/default.conf:ro"]
  broker:
    image: eclipse-mosquitto:2
    ports:
      - "8883:8883"  # <- DM0213
    volumes: ["./mosquitto:/mosquitto/config"]
  bare:
    image: eclipse-mosquitto:2.0.22
    ports:
      - "1884:1883"  # <- DM0213
  closed:
    image: eclipse-mosquitto:2
    ports: ["1885:1883"]
    volumes: ["./closed/mosquitto.conf:/mosquitto/config/mosquitto.conf:ro"]
  bridge:
    image: koenkk/zigbee2mqtt:2.1.3
    ports:
      - "8090:8080"  # <- DM0213
    volumes: ["./bridge:/app/data"]
  panels:
    image: grafana/grafana:11.4.0
    ports:
      - "3333:3333"  # <- DM0213
    volumes: ["panels:/var/lib/grafana"]
  scrapes:
    image: prom/prometheus:v3.1.0
    ports:
      - "127.0.0.1:9100-9103:9100-9103"  # <- DM0213
    volumes: ["scrapes:/prometheus"]
volumes: {panels: , scrapes: }
-- site.conf
server {
  listen 80;
  listen [::]:80;
  location / { proxy_pass http://panels:3000; }
}
-- closed/mosquitto.conf
listener 1883  # <- DM0213
persistence true
-- bridge/configuration.yaml
frontend: {port: 8099}
-- mosquitto/mosquitto.conf
listener 1883
allow_anonymous false
password_file /mosquitto/config/passwd
)",
    .good = R"(services:
  edge:
    image: nginx:1.27
    ports: ["80:80", "443:443"]
    volumes: ["./site.conf:/etc/nginx/conf.d/default.conf:ro"]
-- site.conf
server {
  listen 80;
  listen 443 ssl;
  location / { return 200; }
}
)",
    .look_alike = R"(services:
  edge:
    image: nginx:1.27
    ports: ["80:80", "443:443"]
    volumes: ["./site.conf:/etc/nginx/conf.d/default.conf:ro", "./templates:/etc/nginx/templates:ro"]
  more:
    image: nginx:1.27
    ports: ["81:80", "8443:443"]
    volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro"]
  own:
    build: .
    ports: ["444:443"]
    volumes: ["./site.conf:/etc/nginx/conf.d/default.conf:ro"]
  panels:
    image: grafana/grafana:11.4.0
    environment: {GF_SERVER_HTTP_PORT: "3333"}
    ports: ["3333:3333"]
    volumes: ["panels:/var/lib/grafana"]
  flows:
    image: nodered/node-red:4.0
    ports: ["1880:1880", "1883:1883"]
    volumes: ["flows:/data"]
  photos:
    image: ghcr.io/immich-app/immich-server:v1.123.0
    environment: {IMMICH_TELEMETRY_INCLUDE: all}
    ports: ["2283:2283", "8081:8081"]
    volumes: ["photos:/data"]
  shop:
    image: mysql:8.4
    environment: {MYSQL_TCP_PORT: 3307, MYSQL_ROOT_PASSWORD: "${ROOT_PASSWORD:?}"}
    ports: ["127.0.0.1:3307:3307"]
    volumes: ["shop:/var/lib/mysql"]
  watch:
    image: louislam/uptime-kuma:1
    env_file: not-there.env
    ports: ["3009:3009"]
    volumes: ["watch:/app/data"]
  tls:
    image: nginx:1.27
    ports: ["82:80", "445:443"]
    configs: [{source: tls, target: /etc/nginx/conf.d/tls.conf}]
    volumes: ["./site.conf:/etc/nginx/conf.d/default.conf:ro"]
  written:
    image: nginx:1.27
    ports: ["83:80", "446:443"]
    volumes: ["./site.conf:/etc/nginx/conf.d/default.conf:ro", "./tls.sh:/docker-entrypoint.d/99-tls.sh:ro"]
  broker:
    image: eclipse-mosquitto:2
    ports: ["8883:8883"]
    volumes: ["./mosquitto:/mosquitto/config"]
  older:
    image: eclipse-mosquitto:1.6
    ports: ["1884:1883"]
configs: {tls: {content: "server { listen 443 ssl; }"}}
volumes: {flows: , panels: , photos: , shop: , watch: }
-- mosquitto/mosquitto.conf
listener 1883 127.0.0.1
  listener 8883
password_file /mosquitto/config/passwd
-- tls.sh
echo "server { listen 443 ssl; }" > /etc/nginx/conf.d/tls.conf
-- Dockerfile
FROM nginx:1.27
-- site.conf
server {
  listen 80;
  location / { return 200; }
}
-- nginx.conf
events {}
http {
  include /etc/nginx/sites/*;
}
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          const auto sharing = lends_network(input);
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || service.ports.empty() || service.build != nullptr || service.entrypoint_node != nullptr || !service.configs.empty() || !service.volumes_from.empty()) return;
            if (std::ranges::any_of(service.env_files, [&](const auto& file) { return env_file_unknown(input, file.value); })) return;
            const bool own_start = service.command_node != nullptr && product->id != "mosquitto" &&
                                   !(product->id == "nginx" && std::ranges::any_of(service.command, [](const auto& word) { return word.value.find("daemon off") != std::string_view::npos; }));
            if (own_start) return;
            if (product->id == "mosquitto" && of_two(service.image.value) && !sharing.contains(service.name)) {
              if (without_settings(service)) {
                std::vector<Location> where;
                for (const auto& port : service.ports) where.push_back(port.where);
                report.add_all(std::move(where), {id}, fmt::format("'{}' publishes a port, and Mosquitto listens to its own container only", service.name), "from version 2 on it does so without a file of settings",
                               "mount a mosquitto.conf at /mosquitto/config with `listener 1883` and a `password_file`");
                return;
              }
              for (const auto& config : config_files_of(input, id))
                if (const auto at = config.file != sources::kNoFile && config.path.ends_with("mosquitto.conf") ? lets_nobody_in(input.project.texts.at(config.file).content) : std::nullopt; at)
                  report.add({config.file, *at}, id, fmt::format("'{}' has a listener, and lets nobody in", service.name), "from version 2 on `allow_anonymous` is off, and the file names no `password_file`",
                             "add `password_file /mosquitto/config/passwd`, made by `mosquitto_passwd -c`");
            }
            const auto known = product->id == "nginx" ? of_nginx(input, id) : product->id == "mosquitto" ? of_mosquitto(input, id) : product->id == "zigbee2mqtt" ? of_zigbee2mqtt(input, id) : of_product(input, id);
            if (!known.sure) return;
            if (sharing.contains(service.name)) return;
            std::string list;
            for (const auto number : known.ports) list += fmt::format("{}{}", list.empty() ? "" : ", ", number);
            const auto& ports = service.ports;
            for (std::size_t at = 0; at < ports.size();) {
              std::uint32_t first = 0, last = 0;  // a range is one line
              const auto& where = ports[at].where;
              for (; at < ports.size() && ports[at].where == where; ++at) {
                if (ports[at].target == 0 || ports[at].protocol == "udp" || known.ports.contains(ports[at].target)) continue;
                last = ports[at].target;
                if (first == 0) first = last;
              }
              if (first == 0) continue;
              const auto text = first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
              report.add(where, id, fmt::format("'{}' publishes its port{} {}, where nothing listens", service.name, first == last ? "" : "s", text), known.by, fmt::format("it listens on {}: publish that, or make it listen on {}", list, text));
            }
          });
        },
};

}  // namespace dm::audit::rules

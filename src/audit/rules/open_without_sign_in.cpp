#include <fmt/format.h>

#include <algorithm>

#include "audit/caddyfiles.hpp"
#include "audit/rules/helpers.hpp"
#include "formats/settings.hpp"

namespace dm::audit::rules {
namespace {

/// `allow_anonymous true` of a mounted mosquitto.conf, or the file of the image that says so. Without either, version 2 listens to its own machine only.
bool lets_anonymous_in(const Input& input, ServiceId id) {
  for (const auto& word : input.wiring.service(id).command)
    if (word.value.find("mosquitto-no-auth.conf") != std::string_view::npos) return true;
  for (const auto& config : config_files_of(input, id)) {
    if (config.file == sources::kNoFile || !config.path.ends_with(".conf")) continue;
    const std::string_view text = input.project.texts.at(config.file).content;
    if (text.find("per_listener_settings true") != std::string_view::npos && text.find("allow_anonymous false") != std::string_view::npos) continue;  // one inside, one for others
    for (auto at = text.find("allow_anonymous true"); at != std::string_view::npos; at = text.find("allow_anonymous true", at + 1))
      if (at == 0 || text[at - 1] == '\n') return true;
  }
  return false;
}

/// Asks nobody who he is, and nothing in the files switches that on.
bool asks_nobody(const Input& input, ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  if (product == nullptr) return false;
  const auto& service = input.wiring.service(id);
  const auto is = [&](std::string_view name, std::string_view value) {
    const auto* variable = service.env(name);
    return variable != nullptr && variable->value.value == value;
  };
  // Panels for everybody may be meant; settings for everybody are not.
  if (product->id == "grafana") return is("GF_AUTH_ANONYMOUS_ENABLED", "true") && (is("GF_AUTH_ANONYMOUS_ORG_ROLE", "Admin") || is("GF_AUTH_ANONYMOUS_ORG_ROLE", "Editor"));
  if (!product->no_sign_in || product->kind == "socket-proxy") return false;  // DM0902 speaks of those
  if (product->id == "mosquitto") return lets_anonymous_in(input, id);
  for (const auto& config : config_files_of(input, id))
    if (config.file != sources::kNoFile)
      for (const std::string_view sign : {"auth_token", "adminAuth", "basic_auth_users"})
        if (const auto& text = input.project.texts.at(config.file).content; text.find(sign) != std::string::npos) return false;
  for (const auto* words : {&service.command, &service.entrypoint})
    for (const auto& word : *words)
      for (const std::string_view sign : {"web.config.file", "api-key", "basic-auth", "auth.enabled", "http_auth_file", "http_digest_file", "client-cert-auth"})
        if (word.value.find(sign) != std::string_view::npos) return false;
  return std::ranges::none_of(service.environment, [](const auto& variable) { return variable.name.ends_with("API_KEY") || variable.name.ends_with("AUTH_TOKEN") || (variable.name == "ETCD_CLIENT_CERT_AUTH" && variable.value.value == "true"); });
}

/// Nothing listens there, so that nobody is let in: DM0213 speaks of these products' ports.
bool silent(const Input& input, ServiceId id, const compose::Port& port) {
  static constexpr std::string_view kSteady[] = {"prometheus", "alertmanager", "loki", "node-exporter", "qdrant", "ollama"};
  if (std::ranges::find(kSteady, std::string_view(input.wiring.product_of[id]->id)) == std::end(kSteady)) return false;
  bool known = false;
  for (const auto& listener : input.wiring.listeners) {
    if (listener.service != id || !listener.evidence.starts_with("product ")) continue;
    if (!listener.certain || listener.port == port.target) return false;
    known = true;
  }
  return known;
}

/// A value of a mounted traefik.yml or traefik.toml; "" where there is none.
std::string from_file(const Input& input, ServiceId id, std::string_view key) {
  for (const auto& config : config_files_of(input, id)) {
    if (config.file == sources::kNoFile) continue;
    const auto target = config.mount == nullptr ? std::string_view() : config.mount->target;
    if (!target.ends_with("/traefik.yml") && !target.ends_with("/traefik.yaml") && !target.ends_with("/traefik.toml")) continue;
    const auto& text = input.project.texts.at(config.file).content;
    const auto settings = formats::read_settings(formats::detect_format(config.path, text), text);
    if (!settings) continue;
    for (const auto& setting : *settings)
      if (lowered(setting.key) == key) return setting.value;
  }
  return {};
}

/// Traefik's API and dashboard on a port of their own, for whoever comes.
bool insecure_api(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  if (from_file(input, id, "api.insecure") == "true") return true;
  const auto set = [](const auto& word) { return word.value == "--api.insecure" || word.value == "--api.insecure=true"; };
  if (std::ranges::any_of(service.command, set)) return true;
  const auto* variable = service.env("TRAEFIK_API_INSECURE");
  return variable != nullptr && variable->value.value == "true";
}

/// Traefik's `--a.b=value` or `TRAEFIK_A_B=value`; "" where neither is there.
std::string_view option(const compose::Service& service, std::string_view name) {
  const auto flag = "--" + std::string(name) + "=";
  for (const auto& word : service.command)
    if (lowered(word.value).starts_with(flag)) return std::string_view(word.value).substr(flag.size());
  auto variable = "traefik_" + std::string(name);
  std::ranges::replace(variable, '.', '_');
  for (const auto& one : service.environment)
    if (lowered(one.name) == variable) return one.value.value;
  return {};
}

/// Where the insecure API listens; 0 = for the container alone.
std::uint32_t api_port(const Input& input, ServiceId id) {
  const std::string in_file = from_file(input, id, "entrypoints.traefik.address");
  const auto given = option(input.wiring.service(id), "entrypoints.traefik.address");
  const std::string_view address = given.empty() ? std::string_view(in_file) : given;
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) return 8080;
  if (address.starts_with("127.") || address.starts_with("localhost") || address.starts_with("[::1]")) return 0;
  std::uint32_t port = 0;
  for (const char c : address.substr(colon + 1)) {
    if (c < '0' || c > '9') break;
    port = port * 10 + static_cast<std::uint32_t>(c - '0');
    if (port > 65535) return 0;
  }
  return port;
}

/// Some middleware of `list` asks who is there, or from where. What labels do not define may.
bool guards(const Input& input, std::string_view list, int depth = 0) {
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    auto name = lowered(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    std::erase(name, ' ');
    if (name.empty()) continue;
    const auto provider = name.find('@');
    if (provider != std::string::npos && name.substr(provider) != "@docker") return true;
    const auto start = "traefik.http.middlewares." + name.substr(0, provider) + ".";
    bool known = false;
    for (const auto& service : input.project.services)
      for (const auto& [label, value] : service.labels) {
        const auto lower = lowered(label);
        if (!lower.starts_with(start)) continue;
        known = true;
        const auto kind = std::string_view(lower).substr(start.size());
        for (const std::string_view asks : {"basicauth", "digestauth", "forwardauth", "ipallowlist", "ipwhitelist", "plugin", "passtlsclientcert"})
          if (kind.starts_with(asks)) return true;
        if (kind == "chain.middlewares" && (depth > 4 || guards(input, value.value, depth + 1))) return true;
      }
    if (!known) return true;
  }
  return false;
}

/// An entrypoint asks before any of its routers does: one that the router names, or any where it names none.
bool guarded_entrance(const Input& input, const compose::Service& service, std::string_view router_entrypoints) {
  const auto named = [&](std::string_view entrypoint) {
    if (router_entrypoints.empty()) return true;
    auto list = "," + lowered(router_entrypoints) + ",";
    std::erase(list, ' ');
    return list.find("," + std::string(entrypoint) + ",") != std::string::npos;
  };
  const auto asks = [&](std::string_view key, std::string_view value, std::string_view start, std::string_view end) {
    if (!key.starts_with(start) || !key.ends_with(end) || key.size() <= start.size() + end.size()) return false;
    return named(key.substr(start.size(), key.size() - start.size() - end.size())) && guards(input, value);
  };
  for (const auto& word : service.command) {
    const auto cut = word.value.find('=');
    if (cut == std::string_view::npos) continue;
    if (asks(lowered(word.value.substr(0, cut)), word.value.substr(cut + 1), "--entrypoints.", ".http.middlewares")) return true;
  }
  return std::ranges::any_of(service.environment, [&](const auto& variable) { return asks(lowered(variable.name), variable.value.value, "traefik_entrypoints_", "_http_middlewares"); });
}

/// A router of its labels leads to Traefik's API, and no middleware that asks stands before it.
Location open_dashboard(const Input& input, const compose::Service& service) {
  constexpr std::string_view kStart = "traefik.http.routers.", kEnd = ".service";
  for (const auto& [name, value] : service.labels) {
    if (value.value != "api@internal" || !name.starts_with(kStart) || !name.ends_with(kEnd)) continue;
    const auto router = std::string(name.substr(0, name.size() - kEnd.size()));
    std::string_view middlewares, entrypoints;
    for (const auto& [label, list] : service.labels) {
      if (label == router + ".middlewares") middlewares = list.value;
      if (lowered(label) == lowered(router + ".entrypoints")) entrypoints = list.value;
    }
    if (!guards(input, middlewares) && !guarded_entrance(input, service, entrypoints)) return value.where();
  }
  return {};
}

/// Routers of its labels that lead to the service itself, with no middleware that asks before it.
Location open_route(const Input& input, ServiceId traefik, const compose::Service& service) {
  constexpr std::string_view kStart = "traefik.http.routers.", kEnd = ".rule";
  for (const auto& [name, value] : service.labels) {
    if (!name.starts_with(kStart) || !name.ends_with(kEnd)) continue;
    const auto router = lowered(name.substr(0, name.size() - kEnd.size()));
    std::string_view middlewares, entrypoints, target;
    for (const auto& [label, text] : service.labels) {
      const auto lower = lowered(label);
      if (lower == router + ".middlewares") middlewares = text.value;
      if (lower == router + ".entrypoints") entrypoints = text.value;
      if (lower == router + ".service") target = text.value;
    }
    if (target.find('@') != std::string_view::npos || guards(input, middlewares) || guarded_entrance(input, input.wiring.service(traefik), entrypoints)) continue;
    return value.where();
  }
  return {};
}

/// All that Traefik is told stands here: no file of settings that may have a guard for everybody.
bool told_here(const Input& input, ServiceId traefik) {
  const auto& service = input.wiring.service(traefik);
  if (std::ranges::none_of(service.ports, every_interface)) return false;
  return std::ranges::none_of(service.mounts, [](const auto& mount) {
    const auto name = sources::file_name(mount.target);
    return name == "traefik.yml" || name == "traefik.yaml" || name == "traefik.toml" || mount.target == "/etc/traefik";
  });
}

}  // namespace

extern constinit const Rule open_without_sign_in{
    .id = "DM0904",
    .name = "open-without-sign-in",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "a service that asks nobody who he is, is open to others",
    .rationale = "It has no sign-in of its own, or none that is switched on. Whoever reaches the port or the route reads all that it holds and uses all that it "
                 "offers.",
    .fix = "Bind the port to 127.0.0.1 or remove it; put `forward_auth` or `basic_auth` before the route.",
    .checks = "31 O78",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  metrics:
    image: prom/prometheus:v3.1.0
  models:
    image: ollama/ollama:0.5.7
    ports:
      - "11434:11434"  # <- DM0904
  panels:
    image: grafana/grafana:11.4.0
    environment: {GF_AUTH_ANONYMOUS_ENABLED: "true", GF_AUTH_ANONYMOUS_ORG_ROLE: Admin}
    ports:
      - "3000:3000"  # <- DM0904
  router:
    image: traefik:v3.1
    command: [--api.insecure=true, --providers.docker=true]
    ports:
      - "8080:8080"  # <- DM0904
    labels:
      - traefik.http.routers.dash.rule=Host(`traefik.example.org`)
      - traefik.http.routers.dash.service=api@internal  # <- DM0904
  series:
    image: prom/prometheus:v3.1.0
    labels:
      - traefik.http.routers.series.rule=Host(`series.example.org`)  # <- DM0904
      - traefik.http.routers.series.middlewares=small
  moved:
    image: traefik:v3.1
    command: [--api.insecure=true, --entryPoints.traefik.address=:9000]
    ports:
      - "8081:8080"
      - "9000:9000"  # <- DM0904
    labels:
      - traefik.http.routers.moved.service=api@internal  # <- DM0904
      - traefik.http.routers.moved.middlewares=small
      - traefik.http.middlewares.small.chain.middlewares=squeeze
      - traefik.http.middlewares.squeeze.compress=true
  entrance:
    image: traefik:v3.1
    command: [--entrypoints.websecure.http.middlewares=auth@file]
    labels:
      - traefik.http.routers.plain.service=api@internal  # <- DM0904
      - traefik.http.routers.plain.entrypoints=web
  filed:
    image: traefik:v3.1
    ports:
      - "8080:8080"  # <- DM0904
    volumes: ["./traefik.yml:/traefik.yml:ro"]
  broker:
    image: eclipse-mosquitto:2
    ports:
      - "1883:1883"  # <- DM0904
    volumes: ["./mosquitto:/mosquitto/config"]
-- traefik.yml
api:
  insecure: true
-- mosquitto/mosquitto.conf
listener 1883
allow_anonymous true
-- Caddyfile
metrics.example.org {
	basic_auth /secret/* {
		admin $2a$14$abcdefghijklmnopqrstuu
	}
	reverse_proxy metrics:9090  # <- DM0904
}
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  metrics:
    image: prom/prometheus:v3.1.0
    ports: ["127.0.0.1:9090:9090"]
-- Caddyfile
metrics.example.org {
	basic_auth {
		admin $2a$14$abcdefghijklmnopqrstuu
	}
	reverse_proxy metrics:9090
}
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
  metrics:
    image: prom/prometheus:v3.1.0
    command: [--config.file=/etc/prometheus/prometheus.yml, --web.config.file=/etc/prometheus/web.yml]
    ports: ["9090:9090"]
  alerts:
    image: prom/alertmanager:v0.28.0
  router:
    image: traefik:v3.1
    command: [--api.insecure=true]
    ports: ["127.0.0.1:8080:8080"]
    labels:
      - traefik.http.routers.dash.service=api@internal
      - traefik.http.routers.dash.middlewares=squeeze,auth
      - traefik.http.middlewares.squeeze.compress=true
      - traefik.http.middlewares.auth.basicAuth.usersfile=/users
  entrance:
    image: traefik:v3.1
    command: [--entrypoints.websecure.http.middlewares=auth@file, --api.insecure=true, "--entrypoints.traefik.address=127.0.0.1:9000"]
    ports: ["9000:9000"]
    labels:
      - traefik.http.routers.inner.service=api@internal
      - traefik.http.routers.inner.entrypoints=websecure
      - traefik.http.routers.elsewhere.service=api@internal
      - traefik.http.routers.elsewhere.entrypoints=web
      - traefik.http.routers.elsewhere.middlewares=defined-in-no-label
  series:
    image: prom/prometheus:v3.1.0
    labels:
      - traefik.http.routers.series.rule=Host(`series.example.org`)
      - traefik.http.routers.series.middlewares=auth
  panels:
    image: grafana/grafana:11.4.0
    environment: {GF_AUTH_ANONYMOUS_ENABLED: "true"}
    ports: ["3000:3000"]
  broker:
    image: eclipse-mosquitto:2
    ports: ["1883:1883"]
    volumes: ["./mosquitto:/mosquitto/config"]
  engine:
    image: tecnativa/docker-socket-proxy:0.2.0
    ports: ["2375:2375"]
  silent:
    image: prom/prometheus:v3.1.0
    ports: ["3333:3333"]
  bridge:
    image: koenkk/zigbee2mqtt:2.0.0
    environment: {ZIGBEE2MQTT_CONFIG_FRONTEND_AUTH_TOKEN: "${BRIDGE_TOKEN:?}"}
    ports: ["8090:8080"]
  load:
    image: gcr.io/cadvisor/cadvisor:v0.49.1
    command: [-http_auth_file=/htpasswd]
    ports: ["8091:8080"]
  two-listeners:
    image: eclipse-mosquitto:2
    ports: ["8883:8883"]
    volumes: ["./two:/mosquitto/config"]
-- two/mosquitto.conf
per_listener_settings true
listener 1883 127.0.0.1
allow_anonymous true
listener 8883
allow_anonymous false
password_file /mosquitto/config/passwd
-- mosquitto/mosquitto.conf
# allow_anonymous true
listener 1883
password_file /mosquitto/config/passwd
-- Caddyfile
alerts.example.org {
	@lan not remote_ip 192.168.0.0/16
	abort @lan
	reverse_proxy alerts:9093
}
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!asks_nobody(input, id)) return;
            auto open = published_to_all(input, service, "a random port");
            if (std::ranges::any_of(service.ports, [&](const auto& port) { return silent(input, id, port); })) {
              open = {};
              for (const auto& port : service.ports)
                if (every_interface(port) && !silent(input, id, port)) open.add(port, "a random port");
            }
            if (!open.where.empty())
              report.add_all(std::move(open.where), {id}, fmt::format("'{}' is open at {}{}, and {} asks nobody who he is", service.name, open.list.starts_with("a random") ? "" : open.where.size() == 1 ? "port " : "ports ", open.list, input.wiring.product_of[id]->name));
          });
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "traefik") return;
            constexpr std::string_view kShows = "it shows every route, service and certificate";
            if (insecure_api(input, id)) {
              OpenPorts open;
              const auto inside = api_port(input, id);
              for (const auto& port : service.ports)
                if (every_interface(port) && port.target == inside) open.add(port, "a random port");
              if (!open.where.empty())
                report.add_all(std::move(open.where), {id}, fmt::format("the API and the dashboard of '{}' are open at port {} and ask nobody who he is", service.name, open.list), std::string(kShows),
                               "take `--api.insecure` out, and route `api@internal` with a middleware that asks");
            }
            if (const auto where = open_dashboard(input, service); where)
              report.add(where, id, fmt::format("'{}' routes its dashboard without a sign-in", service.name), std::string(kShows), "give the router a `basicauth` or `forwardauth` middleware");
          });
          for (ServiceId traefik = 0; traefik < input.project.services.size(); ++traefik) {
            const auto* product = input.wiring.product_of[traefik];
            if (product == nullptr || product->id != "traefik" || !told_here(input, traefik)) continue;
            each_service(input, [&](ServiceId id, const compose::Service& service) {
              if (id == traefik || !asks_nobody(input, id)) return;
              if (std::ranges::any_of(service.labels, [](const auto& label) { return label.first == "traefik.enable" && label.second.value == "false"; })) return;
              if (const auto where = open_route(input, traefik, service); where)
                report.add(where, id, fmt::format("'{}' routes to '{}' without a sign-in, and {} asks nobody who he is", input.wiring.service(traefik).name, service.name, input.wiring.product_of[id]->name), {},
                           "give the router a `basicauth` or `forwardauth` middleware");
            });
            break;
          }
          for (const auto& file : caddyfiles(input)) {
            const auto& edge = input.wiring.service(file.service);
            // What is imported may hold the guard.
            if (!file.parsed.imports.empty() || std::ranges::none_of(edge.ports, every_interface)) continue;
            for (const auto& site : file.parsed.sites) {
              if (site.named_route || asks_who(site.directives)) continue;
              each_directive(site.directives, [&](const formats::CaddyDirective& directive) {
                if (directive.name.text != "reverse_proxy") return;
                for (const auto& upstream : directive.arguments) {
                  const auto id = input.wiring.id_of(upstream_host(upstream.text));
                  if (id == wiring::kNone || !asks_nobody(input, id)) continue;
                  report.add({file.file, upstream.where}, id,
                             fmt::format("'{}' routes to '{}' without a sign-in, and {} asks nobody who he is", edge.name, input.wiring.service(id).name,
                                         input.wiring.product_of[id]->name));
                }
              });
            }
          }
        },
};

}  // namespace dm::audit::rules

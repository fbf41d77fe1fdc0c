#include <fmt/format.h>

#include <algorithm>

#include "audit/docker_stage.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// A name on the Internet, not one of this machine or of a home.
bool public_name(std::string_view host) {
  if (const auto scheme = host.find("://"); scheme != std::string_view::npos) host = host.substr(scheme + 3);
  host = host.substr(0, host.find_first_of(":/"));
  if (host.find('.') == std::string_view::npos || host.find_first_not_of("0123456789.") == std::string_view::npos) return false;
  return std::ranges::none_of(std::initializer_list<std::string_view>{".local", ".localhost", ".test", ".lan", ".home", ".internal", ".invalid", ".docker"},
                              [&](std::string_view end) { return host.ends_with(end); });
}

/// What shows that others use it: its public name, a proxy that it is told of or that routes to it; "" for nothing.
std::string serves_others(const Input& input, ServiceId id) {
  const auto& service = input.wiring.service(id);
  const auto set = [&](std::string_view name) {
    const auto* variable = service.env(name);
    return variable == nullptr ? std::string_view() : variable->value.value;
  };
  if (public_name(set("KC_HOSTNAME"))) return fmt::format("KC_HOSTNAME is {}", set("KC_HOSTNAME"));
  for (const auto& word : service.command)
    if (word.value.starts_with("--hostname=") && public_name(word.value.substr(11))) return fmt::format("its command has {}", word.value);
  for (const auto& reference : input.wiring.references) {
    if (reference.via != wiring::Reference::Via::proxy_route || reference.to != id || reference.from == id) continue;
    const auto& proxy = input.wiring.service(reference.from);
    const auto public_port = [](const compose::Port& port) { return every_interface(port) && port.published == "443"; };
    if (std::ranges::any_of(proxy.ports, public_port)) return fmt::format("'{}' routes to it from port 443", proxy.name);
  }
  for (const auto& [name, value] : service.labels)
    if (name.starts_with("traefik.http.routers.") && name.ends_with(".tls.certresolver")) return fmt::format("the label {} gets it a certificate", name);
  return {};
}

/// A server that its makers keep for the work on the program.
struct Server {
  std::string_view words;  ///< as they stand in a command
  std::string_view what;
};
constexpr Server kServers[] = {{"manage.py runserver", "Django's development server"},   {"django-admin runserver", "Django's development server"},
                               {"flask run", "Flask's development server"},              {"flask --app", "Flask's development server"},
                               {"airflow standalone", "Airflow's all-in-one for trials"}, {"php artisan serve", "Laravel's development server"},
                               {"npm run dev", "a development server"},                  {"yarn dev", "a development server"},
                               {"yarn run dev", "a development server"},                 {"pnpm dev", "a development server"},
                               {"pnpm run dev", "a development server"},                 {"next dev", "Next.js' development server"},
                               {"nuxt dev", "Nuxt's development server"},                {"ng serve", "Angular's development server"},
                               {"vue-cli-service serve", "Vue's development server"},    {"webpack serve", "webpack's development server"},
                               {"fastapi dev", "FastAPI's development server"},          {"rails server -e development", "Rails' development mode"}};

const Server* development_server(std::string_view command) {
  for (const auto& server : kServers) {
    const auto at = command.find(server.words);
    if (at == std::string_view::npos) continue;
    if (at > 0 && std::string_view(" \n;&|\"'/(").find(command[at - 1]) == std::string_view::npos) continue;  // "tracking serve"
    const auto end = at + server.words.size();
    if (end < command.size() && command[end] != ' ' && command[end] != '\n' && command[end] != ';' && command[end] != '"' && command[end] != '\'') continue;  // "npm run devices"
    if (server.words == "flask --app" && command.find(" run", end) == std::string_view::npos) continue;
    return &server;
  }
  return nullptr;
}

/// `compose.prod.yaml`, `docker-compose-production.yml`, not `compose.product.yaml`.
bool says_production(std::string_view file) {
  for (auto at = file.find("prod"); at != std::string_view::npos; at = file.find("prod", at + 1)) {
    const auto rest = file.substr(at + (file.substr(at).starts_with("production") ? 10 : 4));
    if (at > 0 && (file[at - 1] == '.' || file[at - 1] == '-') && (rest.empty() || rest[0] == '.' || rest[0] == '-' || rest[0] == '_')) return true;
  }
  return false;
}

/// The files themselves call it production; "" where they do not.
std::string production(const Input& input, const compose::Service& service) {
  for (const auto name : {"NODE_ENV", "APP_ENV", "FLASK_ENV", "DJANGO_ENV", "ENVIRONMENT", "RAILS_ENV"})
    if (const auto* variable = service.env(name); variable != nullptr && (variable->value.value == "production" || variable->value.value == "prod")) return fmt::format("{} is {}", name, variable->value.value);
  for (const auto& path : input.project.compose_files)
    if (const auto file = sources::file_name(path); says_production(file)) return fmt::format("the file is called {}", file);
  return {};
}

/// A proxy that is open to all leads to it.
std::string routed(const Input& input, ServiceId id) {
  for (const auto& reference : input.wiring.references) {
    if (reference.via != wiring::Reference::Via::proxy_route || reference.to != id || reference.from == id) continue;
    const auto& proxy = input.wiring.service(reference.from);
    if (std::ranges::any_of(proxy.ports, every_interface)) return fmt::format("'{}' routes to it", proxy.name);
  }
  for (const auto& [name, value] : input.wiring.service(id).labels)
    if (name.starts_with("traefik.http.routers.") && name.ends_with(".tls") && value.value == "true") return fmt::format("the label {} has it served over TLS", name);
  return {};
}

/// What the image of the build starts: the last ENTRYPOINT and CMD of its target, in words; `where` is the instruction.
struct Started {
  std::string words;
  Location where;
};
Started started_by_build(const Input& input, const ServiceDockerfile& built) {
  Started out;
  const auto& text = input.project.texts.at(built.file);
  const auto stage = stage_lines(dockerfile_lines(text.content), build_target(input.wiring.service(built.service)));
  if (!stage) return out;
  std::string entry;
  for (const auto& line : *stage) {
    if (line.instruction != "CMD" && line.instruction != "ENTRYPOINT") continue;
    auto words = line.rest;
    if (words.find_first_not_of(' ') != std::string::npos && words[words.find_first_not_of(' ')] == '[') {  // the list of words
      std::erase_if(words, [](char c) { return c == '[' || c == ']' || c == '"'; });
      for (std::size_t at = words.find(','); at != std::string::npos; at = words.find(',', at)) words.replace(at, 1, " ");
      std::string one;
      for (const char c : words)
        if (c != ' ' || (!one.empty() && one.back() != ' ')) one += c;
      words = one;
    }
    if (line.instruction == "ENTRYPOINT") entry = words, out.words.clear();
    else out.words = words;
    const auto from = static_cast<std::uint32_t>(line.begin);
    out.where = {built.file, {from, from + static_cast<std::uint32_t>(line.instruction.size())}};
  }
  out.words = entry + " " + out.words;
  return out;
}

/// Vault's `server -dev`, which its image also starts where no command is given; false where it is only at hand of who works on this machine.
bool vault_in_memory(const compose::Service& service) {
  const auto repository = product::split_image(service.image.value).repository;
  if (service.build != nullptr || (repository != "vault" && repository != "library/vault" && repository != "hashicorp/vault") || service.entrypoint_node != nullptr) return false;
  if (std::ranges::none_of(service.ports, every_interface) && service.restart.value != "always" && service.restart.value != "unless-stopped") return false;
  if (service.command.empty()) return true;
  return std::ranges::any_of(service.command, [](const auto& word) { return word.value == "-dev" || word.value.find("server -dev") != std::string_view::npos; });
}

/// It is told that a proxy stands before it: not all developers have one, so that this alone is less sure.
std::string behind_proxy(const compose::Service& service) {
  for (const auto name : {"KC_PROXY", "KC_PROXY_HEADERS"})
    if (const auto* variable = service.env(name); variable != nullptr && !variable->value.value.empty() && variable->value.value != "none")
      return fmt::format("{} is {}: it is to stand behind a proxy", name, variable->value.value);
  for (const auto& word : service.command)
    if (word.value.starts_with("--proxy=") || word.value.starts_with("--proxy-headers="))
      return fmt::format("its command has {}: it is to stand behind a proxy", word.value);
  return {};
}

}  // namespace

extern constinit const Rule development_mode{
    .id = "DM0915",
    .name = "development-mode",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "what serves others runs in its development mode",
    .rationale = "Servers for development have no limits, show their source and settings on an error, answer slowly, and are called unfit for production "
                 "by their makers. Keycloak's `start-dev` has insecure defaults, says its documentation, and is to be avoided in production: plain HTTP is on, any "
                 "host name that a request brings is believed (links to set a password can lead elsewhere), caches are off, and without "
                 "`KC_DB` everything is in a file in the container.",
    .fix = "Serve with what the makers name for production (gunicorn, uvicorn without `--reload`, `npm run build` and a static server ...). Keycloak: "
           "`command: [start]` with `KC_HOSTNAME`, `KC_DB` and, behind a proxy that ends TLS, `KC_HTTP_ENABLED: \"true\"` and `KC_PROXY_HEADERS: xforwarded`.",
    .checks = "O78",
    .bad = R"(services:
  sso:
    image: quay.io/keycloak/keycloak:26.0
    command: start-dev  # <- DM0915
    environment:
      KC_HOSTNAME: sso.example.org
      KC_DB: postgres
  inner:
    image: quay.io/keycloak/keycloak:23.0
    command: ["start-dev"]  # <- DM0915
    environment: {KC_PROXY: edge, KC_HOSTNAME: "${DOMAIN:-}"}
  web:
    image: example/web:1
    command: python manage.py runserver 0.0.0.0:8000  # <- DM0915
  edge:
    image: nginx:1.27
    ports: ["80:80"]
    volumes: ["./web.conf:/etc/nginx/conf.d/default.conf:ro"]
  panel:
    image: example/panel:1
    command: npm run dev  # <- DM0915
    environment: {NODE_ENV: production}
  shop:
    build: .
    environment: {APP_ENV: production}
  safe:
    image: hashicorp/vault:1.18
    command: server -dev  # <- DM0915
    restart: always
-- Dockerfile
FROM php:8.4-cli
CMD ["php", "artisan", "serve", "--host=0.0.0.0"]  # <- DM0915
-- web.conf
server {
  listen 80;
  location / { proxy_pass http://web:8000; }
}
)",
    .good = R"(services:
  sso:
    image: quay.io/keycloak/keycloak:26.0
    command: start
    environment:
      KC_HOSTNAME: sso.example.org
      KC_DB: postgres
      KC_PROXY_HEADERS: xforwarded
      KC_HTTP_ENABLED: "true"
)",
    .look_alike = R"(services:
  sso:
    image: quay.io/keycloak/keycloak:26.0
    command: start-dev --import-realm
    environment:
      KC_HOSTNAME: localhost
    ports: ["127.0.0.1:8080:8080"]
  web:
    image: example/web:1
    command: python manage.py runserver 0.0.0.0:8000
    ports: ["127.0.0.1:8000:8000"]
  devices:
    image: example/devices:1
    command: npm run devices
    environment: {NODE_ENV: production}
  runs:
    image: example/runs:1
    command: python -m tracking serve
    environment: {NODE_ENV: production}
  queue:
    build: .
    command: ["php", "artisan", "queue:work"]
    environment: {APP_ENV: production}
  stage:
    build: {context: ., target: prod}
    environment: {APP_ENV: production}
  work:
    build: .
    ports: ["127.0.0.1:8000:8000"]
  safe:
    image: hashicorp/vault:1.18
    command: server -config=/vault/config
    restart: always
-- Dockerfile
FROM php:8.4-cli AS prod
CMD ["php-fpm"]
FROM prod
CMD ["php", "artisan", "serve"]
)",
    .minutes = 30,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            std::string command;
            for (const auto* words : {&service.entrypoint, &service.command})
              for (const auto& word : *words) command.append(command.empty() ? "" : " ").append(word.value);
            const auto* server = input.wiring.one_shot[id] || run_by_hand(service) ? nullptr : development_server(command);
            if (server == nullptr) return;
            auto why = production(input, service);
            const bool meant = !why.empty();
            if (!meant) why = routed(input, id);
            if (why.empty()) return;
            auto& finding = report.add(place(service, service.command.empty() ? "entrypoint" : "command"), id, fmt::format("'{}' runs {} ({})", service.name, server->what, server->words), std::move(why));
            if (!meant) finding.severity = Severity::medium;
          });
          for (const auto& built : built_services(input)) {
            const auto& service = input.wiring.service(built.service);
            if (service.command_node != nullptr || service.entrypoint_node != nullptr || input.wiring.one_shot[built.service] || run_by_hand(service)) continue;
            const auto started = started_by_build(input, built);
            const auto* server = development_server(started.words);
            if (server == nullptr) continue;
            auto why = production(input, service);
            const bool meant = !why.empty();
            if (!meant) why = routed(input, built.service);
            if (why.empty()) continue;
            auto& finding = report.add(started.where, built.service, fmt::format("the image of '{}' starts {} ({})", service.name, server->what, server->words), std::move(why));
            if (!meant) finding.severity = Severity::medium;
          }
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!vault_in_memory(service)) return;
            const auto* word = service.command.empty() ? nullptr : &service.command.front();
            auto& finding = report.add(word != nullptr && word->where() ? word->where() : place(service, "image"), id, fmt::format("'{}' runs Vault's development server", service.name),
                                       "every secret is in memory, open without a seal, and gone after a restart",
                                       "Start `vault server -config=...` with a storage of its own on a volume, unseal it, and sign in with tokens that end.");
            finding.severity = Severity::high;
          });
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "keycloak") return;
            const compose::Text* mode = nullptr;
            for (const auto* words : {&service.entrypoint, &service.command})
              for (const auto& word : *words)
                if (word.value == "start-dev" || word.value.find("kc.sh start-dev") != std::string_view::npos) mode = &word;
            if (mode == nullptr) return;
            auto why = serves_others(input, id);
            const bool sure = !why.empty();
            if (!sure) why = behind_proxy(service);
            if (why.empty()) return;
            auto& finding = report.add(mode->where() ? mode->where() : place(service, "command"), id,
                                       fmt::format("'{}' runs in development mode (start-dev)", service.name), std::move(why));
            if (!sure) finding.severity = Severity::medium;
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

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
    .summary = "Keycloak serves others in its development mode",
    .rationale = "`start-dev` has insecure defaults, says its documentation, and is to be avoided in production: plain HTTP is on, any "
                 "host name that a request brings is believed (links to set a password can lead elsewhere), caches are off, and without "
                 "`KC_DB` everything is in a file in the container.",
    .fix = "`command: [start]` with `KC_HOSTNAME`, `KC_DB` and, behind a proxy that ends TLS, `KC_HTTP_ENABLED: \"true\"` and `KC_PROXY_HEADERS: xforwarded`.",
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
)",
    .minutes = 30,
    .check =
        [](const Input& input, Report& report) {
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

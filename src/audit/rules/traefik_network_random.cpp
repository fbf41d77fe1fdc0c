#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

std::string_view label(const compose::Service& service, std::string_view name) {
  const auto found = std::ranges::find(service.labels, name, &std::pair<std::string_view, compose::Text>::first);
  return found == service.labels.end() ? std::string_view() : found->second.value;
}

/// Traefik is told which network to use, by a flag, a variable or its file.
bool told_network(const Input& input, ServiceId id) {
  const auto& traefik = input.wiring.service(id);
  const auto names_it = [](std::string_view text) { return text.find("providers.docker.network") != std::string_view::npos; };
  if (std::ranges::any_of(traefik.command, [&](const auto& word) { return names_it(word.value); })) return true;
  if (traefik.env("TRAEFIK_PROVIDERS_DOCKER_NETWORK") != nullptr) return true;
  return std::ranges::any_of(input.wiring.config_files, [&](const auto& config) {
    return config.service == id && config.file != sources::kNoFile && input.project.texts.at(config.file).content.find("network") != std::string::npos;
  });
}

/// Its settings are in files that are not here.
bool settings_unknown(const Input& input, ServiceId id) {
  const auto& traefik = input.wiring.service(id);
  return std::ranges::none_of(traefik.command, [](const auto& word) { return word.value.find("--providers.docker") != std::string_view::npos; }) &&
         std::ranges::none_of(traefik.environment, [](const auto& variable) { return variable.name.starts_with("TRAEFIK_PROVIDERS_DOCKER"); });
}

}  // namespace

extern constinit const Rule traefik_network_random{
    .id = "DM0914",
    .name = "traefik-network-random",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "Traefik may pick a network of the service that it is not on",
    .rationale = "A container on several networks has several addresses. Traefik takes the one that the engine lists first; when that is on a network "
                 "where Traefik is not, requests hang until `504 Gateway Timeout`, and it may change with each recreation.",
    .fix = "Label the service with `traefik.docker.network=NAME` (the network's name on the engine), or tell Traefik once: "
           "`--providers.docker.network=NAME`.",
    .checks = "105",
    .bad = R"(services:
  traefik:
    image: traefik:v3.1
    command: --providers.docker=true
    networks: [front]
  web:
    image: example/web:1
    networks: [front, back]
    labels:
      traefik.enable: "true"  # <- DM0914
      traefik.http.routers.web.rule: Host(`web.example.org`)
networks: {front: , back: }
)",
    .good = R"(services:
  traefik:
    image: traefik:v3.1
    command: --providers.docker=true
    networks: [front]
  web:
    image: example/web:1
    networks: [front, back]
    labels:
      traefik.enable: "true"
      traefik.docker.network: shop_front
      traefik.http.routers.web.rule: Host(`web.example.org`)
networks: {front: , back: }
)",
    .look_alike = R"(services:
  traefik:
    image: traefik:v3.1
    command: --providers.docker=true --providers.docker.exposedbydefault=false
    networks: [front, back]
  web:
    image: example/web:1
    networks: [front, back]
    labels:
      traefik.enable: "true"
      traefik.http.routers.web.rule: Host(`web.example.org`)
  db:
    image: example/db:1
    networks: [back, deep]
    labels: {traefik.enable: "false"}
  one:
    image: example/one:1
    networks: [front]
    labels: {traefik.enable: "true"}
networks: {front: , back: , deep: }
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          ServiceId traefik = wiring::kNone;
          each_service(input, [&](ServiceId id, const compose::Service&) {
            const auto* product = input.wiring.product_of[id];
            if (product != nullptr && product->id == "traefik") traefik = id;
          });
          if (traefik == wiring::kNone || told_network(input, traefik) || settings_unknown(input, traefik)) return;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (id == traefik || service.networks.size() < 2 || label(service, "traefik.enable") != "true") return;
            if (!label(service, "traefik.docker.network").empty()) return;
            const auto shared = input.wiring.common_networks(id, traefik);
            if (shared.size() == service.networks.size()) return;
            const auto apart = [&](const auto& use) { return std::ranges::find(shared, use.network) == shared.end(); };
            const auto missing = std::ranges::find_if(service.networks, apart);
            const auto at = std::ranges::find(service.labels, "traefik.enable", &std::pair<std::string_view, compose::Text>::first);
            report.add(at->second.where(), id,
                       fmt::format("'{}' has {} networks, and nothing tells Traefik which to use: it is not on {}", service.name, service.networks.size(),
                                   missing->network));
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule manager_behind_read_only_proxy{
    .id = "DM0630",
    .name = "manager-behind-read-only-proxy",
    .severity = Severity::high,
    .area = Area::operations,
    .summary = "a program that manages containers is behind a proxy that lets it only look",
    .rationale = "The socket proxy answers 403 to what changes anything unless POST=1 is set: Portainer, Dockge or "
                 "Watchtower then start, show everything, and fail at the first thing they are asked to do.",
    .fix = "Give it a proxy of its own with `POST: 1` and the groups that it needs, on a network that only the "
           "two share; or take a program that only shows.",
    .checks = "132",
    .bad = R"(services:
  proxy:
    image: tecnativa/docker-socket-proxy:0.3.0
    environment: {CONTAINERS: 1}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
  updates:
    image: containrrr/watchtower:1.7.1
    environment:
      DOCKER_HOST: tcp://proxy:2375  # <- DM0630
)",
    .good = R"(services:
  proxy:
    image: tecnativa/docker-socket-proxy:0.3.0
    environment: {CONTAINERS: 1, IMAGES: 1, POST: 1}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
    networks: [managers]
  updates:
    image: containrrr/watchtower:1.7.1
    environment:
      DOCKER_HOST: tcp://proxy:2375
    networks: [managers]
networks: {managers: {internal: true}}
)",
    .look_alike = R"(services:
  proxy:
    image: tecnativa/docker-socket-proxy:0.3.0
    environment: {CONTAINERS: 1}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
  dashboard:
    image: ghcr.io/gethomepage/homepage:v0.9.5
    environment:
      DOCKER_HOST: tcp://proxy:2375
)",
    .minutes = 20,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& reference : input.wiring.references) {
            if (reference.to == wiring::kNone || reference.via == wiring::Reference::Via::depends_on) continue;
            const auto* product = input.wiring.product_of[reference.from];
            const auto repository = product::split_image(input.wiring.service(reference.from).image.value).repository;
            const bool manages = (product != nullptr && product->kind == "admin") || repository.ends_with("/watchtower") || repository.ends_with("/diun-updater");
            const auto& proxy = input.wiring.service(reference.to);
            if (!manages || !product::split_image(proxy.image.value).repository.ends_with("socket-proxy")) continue;
            const auto* post = proxy.env("POST");
            if (post != nullptr && (post->value.value == "1" || post->value.value == "true" || !is_literal(*post->value.node))) continue;
            report.add(reference.where, reference.from,
                       fmt::format("'{}' manages containers, but '{}' refuses whatever changes something", input.wiring.service(reference.from).name, proxy.name),
                       post == nullptr ? "POST is not set, and its default is 0" : fmt::format("POST is {}", post->value.value));
          }
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/dockerfiles.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// The Dockerfile that it is built from brings a check.
bool built_with_check(const Input& input, const compose::Service& service) {
  bool check = false;
  for (const auto& one : image_instructions(input, service))
    if (one.keyword == "HEALTHCHECK") check = !one.text.starts_with("NONE") && !one.text.starts_with("none");
  return check;
}

}  // namespace

extern constinit const Rule healthcheck_missing{
    .id = "DM0304",
    .name = "healthcheck-missing",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "long-running services without a healthcheck",
    .rationale = "Docker takes a hanging service for a running one: nothing waits for it to be ready, and nobody "
                 "hears when it stops working. (An image that we do not know may bring a check of its own; the files do not say.)",
    .fix = "Add a `healthcheck:` that asks the service itself.",
    .checks = "66 O1",
    .bad = R"(services:
  app:  # <- DM0304
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8080/health"]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    healthcheck: {test: [CMD, /bin/check]}
    depends_on:
      init: {condition: service_completed_successfully}
  init:
    image: example/app:1.0
  photos:
    image: example/photos:1.0
    healthcheck: {disable: false}
  tables:
    image: adminer:4.8.1
    profiles: [tools]
    ports: ["127.0.0.1:8081:8080"]
  vpn:
    image: example/vpn:1.0
  behind:
    image: example/behind:1.0
    healthcheck: {test: [CMD, /bin/check]}
    depends_on: {vpn: {condition: service_healthy}}
  check:
    image: example/app:1.0
    command: ["python", "scripts/check_schema.py"]
    restart: "no"
  own:
    build: .
  part:
    build: {context: ., dockerfile: parts.Dockerfile, target: served}
  names:
    image: pihole/pihole:2025.03.0
-- Dockerfile
FROM node:22 AS build
RUN npm ci
FROM node:22-slim
HEALTHCHECK --interval=30s \
  CMD node check.js
CMD ["node", "server.js"]
-- parts.Dockerfile
FROM debian:12 AS base
HEALTHCHECK CMD /bin/check
FROM base AS served
CMD ["/bin/serve"]
FROM debian:12
HEALTHCHECK NONE
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          // Who waits for it to be healthy knows that its image brings a check: without one Compose would give up.
          std::set<std::string_view> awaited;
          for (const auto& service : input.project.services)
            for (const auto& dependency : service.depends_on)
              if (dependency.condition == "service_healthy") awaited.insert(dependency.service);
          blanket(input, report, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id] || run_by_hand(service)) return false;
            if (!service.healthcheck && service.entrypoint_node == nullptr && awaited.contains(service.name)) return false;
            const auto* product = input.wiring.product_of[id];
            const bool inherits = !service.healthcheck || (!service.healthcheck->disabled && service.healthcheck->test.empty());
            if (inherits && service.build != nullptr && built_with_check(input, service)) return false;
            if (inherits && product != nullptr && product->image_health && service.entrypoint_node == nullptr) return false;
            if (service.healthcheck && inherits) return false;  // times or `disable: false` alone: the image brings the test
            return inherits || service.healthcheck->disabled;
          }, [&](const std::vector<ServiceId>& ids) { return fmt::format("{} no healthcheck: {}", of_all(input, ids.size(), "has", "have"), join_names(input, ids)); });
        },
};

}  // namespace dm::audit::rules

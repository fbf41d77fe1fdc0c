#include <fmt/format.h>

#include <map>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Images that are built upon a database's own and bring a check (https://github.com/supabase/postgres, https://github.com/mysql/mysql-docker).
bool brings_check(std::string_view image) {
  const auto repository = product::split_image(image).repository;
  return repository == "supabase/postgres" || repository == "mysql/mysql-server";
}

}  // namespace

extern constinit const Rule awaited_without_check{
    .id = "DM0126",
    .name = "awaited-without-check",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "others wait for it to be healthy, and it has no healthcheck",
    .rationale = "A container without a healthcheck never becomes healthy. Compose says that it has none and starts nothing that waits for it.",
    .fix = "Give the service a `healthcheck:`, or wait for it with `condition: service_started`.",
    .checks = "114 O31",
    .bad = R"(services:
  db:  # <- DM0126
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  app:
    image: example/app:1
    depends_on: {db: {condition: service_healthy}}
volumes: {pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    healthcheck: {test: [CMD-SHELL, "pg_isready -h 127.0.0.1"]}
    volumes: ["pg:/var/lib/postgresql/data"]
  app:
    image: example/app:1
    depends_on: {db: {condition: service_healthy}}
volumes: {pg: }
)",
    .look_alike = R"(services:
  photos:
    image: ghcr.io/immich-app/postgres:14-vectorchord0.4.3
    volumes: ["pg:/var/lib/postgresql/data"]
  other:
    image: example/other:1
  platform:
    image: supabase/postgres:15.8.1.060
    volumes: ["platform:/var/lib/postgresql/data"]
  app:
    image: example/app:1
    depends_on:
      platform: {condition: service_healthy}
      photos: {condition: service_healthy}
      other: {condition: service_healthy}
volumes: {pg: , platform: }
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          std::map<std::string_view, std::vector<ServiceId>> waiting;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& dependency : service.depends_on)
              if (dependency.condition == "service_healthy" && dependency.required) waiting[dependency.service].push_back(id);
          });
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto waits = waiting.find(service.name);
            if (waits == waiting.end()) return;
            const auto* product = input.wiring.product_of[id];
            // Of databases and caches it is known whether their image brings a check; of others it may be.
            const bool none = service.healthcheck ? service.healthcheck->disabled
                                                  : product != nullptr && !product->image_health && !product->datastore.empty() && service.build == nullptr && !brings_check(service.image.value);
            if (none) report.add(service.healthcheck ? place(service, "healthcheck") : service.where, id,
                                 fmt::format("'{}' has no healthcheck, and {} wait{} for it to be healthy", service.name, quoted_names(input, waits->second), waits->second.size() == 1 ? "s" : ""));
          });
        },
};

}  // namespace dm::audit::rules

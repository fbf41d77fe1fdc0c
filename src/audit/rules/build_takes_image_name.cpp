#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule build_takes_image_name{
    .id = "DM0704",
    .name = "build-takes-image-name",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a build carries the name of a published image",
    .rationale = "With both, Compose builds or pulls, whichever comes first: `docker compose pull` puts the "
                 "published image in place of yours, and on this machine every other user of the name gets yours.",
    .fix = "Give the build a name of its own, or write `pull_policy: build`.",
    .checks = "43",
    .bad = R"(services:
  db:
    build: ./db
    image: postgres:16  # <- DM0704
-- db/Dockerfile
FROM postgres:16
)",
    .good = R"(services:
  db:
    build: ./db
    image: mystack/postgres:16
-- db/Dockerfile
FROM postgres:16
)",
    .look_alike = R"(services:
  app:
    build: .
    image: registry.example.org/team/app:1.0
  db:
    build: ./db
    image: postgres:16
    pull_policy: build
  shop:
    build: ./db
    image: shop-db
-- db/Dockerfile
FROM postgres:16
-- Dockerfile
FROM scratch
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          struct Taken {
            std::vector<Location> where;
            std::vector<ServiceId> services;
          };
          std::map<std::string_view, Taken> taken;  // several services of one build are one mistake
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (service.build == nullptr || service.image.value.empty()) return;
            const auto* policy = service.node->find("pull_policy");
            if (policy != nullptr && (policy->string() == "build" || policy->string() == "never")) return;
            // Another's image surely: only official ones have a single segment.
            const auto name = product::split_image(service.image.value);
            const auto* product = input.wiring.product_of[id];
            const bool official = name.registry.empty() && name.repository.find('/') == std::string_view::npos;
            if (product == nullptr || !official) return;  // the product may be what the Dockerfile starts from: `shop-frontend`, built upon nginx
            if (std::ranges::none_of(product->images, [&](const auto& one) { return one == name.repository; })) return;
            auto& entry = taken[service.image.value];
            entry.where.push_back(service.image.where());
            entry.services.push_back(id);
          });
          for (auto& [image, entry] : taken) {
            auto message = fmt::format("{} {} built here under the name of the published {}", quoted_names(input, entry.services), entry.services.size() == 1 ? "is" : "are", image);
            report.add_all(std::move(entry.where), std::move(entry.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

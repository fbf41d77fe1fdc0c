#include <fmt/format.h>

#include <algorithm>
#include <map>
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Tags that differ in their numbers only: "1.4-web" and "1.4-worker" are two programs, not two versions.
bool same_family(std::string_view a, std::string_view b) {
  const auto letters = [](std::string_view tag) {
    std::string out;
    for (const char c : tag)
      if ((c < '0' || c > '9') && c != '.') out += c;
    return out;
  };
  return letters(a) == letters(b);
}

bool share_a_datastore(const Input& input, ServiceId a, ServiceId b) {
  const auto& left = input.wiring.dependencies[a];
  const auto& right = input.wiring.dependencies[b];
  return std::ranges::any_of(left, [&](ServiceId id) {
    return input.wiring.datastore(id) != nullptr && std::ranges::find(right, id) != right.end();
  });
}

}  // namespace

extern constinit const Rule version_skew{
    .id = "DM0702",
    .name = "version-skew",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "services of one application run different versions of its image",
    .rationale = "They share a database and a queue: the newer one migrates, the older one then fails or writes "
                 "what the newer cannot read.",
    .fix = "Write the tag once (`image: example/app:${APP_VERSION:?}`, or an anchor) and use it for all of "
           "them.",
    .checks = "130",
    .bad = R"(services:
  photos:
    image: ghcr.io/immich-app/immich-server:v1.120.0
  faces:
    image: ghcr.io/immich-app/immich-machine-learning:v1.118.2  # <- DM0702
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: ghcr.io/example/app:1.4.2
    environment: {DB_HOST: db}
  worker:
    image: ghcr.io/example/app:1.3.0  # <- DM0702
    environment: {DB_HOST: db}
volumes: {pg: }
)",
    .good = R"(services:
  photos:
    image: ghcr.io/immich-app/immich-server:v1.120.0
  faces:
    image: ghcr.io/immich-app/immich-machine-learning:v1.120.0
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: ghcr.io/example/app:1.4.2
    environment: {DB_HOST: db}
  worker:
    image: ghcr.io/example/app:1.4.2
    environment: {DB_HOST: db}
volumes: {pg: }
)",
    .look_alike = R"(services:
  photos:
    image: ghcr.io/immich-app/immich-server:v1.120.0
  faces:
    image: ghcr.io/immich-app/immich-machine-learning:v1.120.0-cuda
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  old:
    image: postgres:15
    volumes: ["pg15:/var/lib/postgresql/data"]
  web:
    image: ghcr.io/example/web:1.4.2
    environment: {DB_HOST: db}
  worker:
    image: ghcr.io/example/worker:1.3.0
    environment: {DB_HOST: db}
volumes: {pg: , pg15: }
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->versions_together.empty() || service.build != nullptr) return;
            const auto tag = product::split_image(service.image.value).tag;
            for (ServiceId other = 0; other < id && !tag.empty(); ++other) {
              const auto* sibling = input.wiring.product_of[other];
              if (sibling == nullptr || std::ranges::find(product->versions_together, sibling->id) == product->versions_together.end()) continue;
              const auto theirs = product::split_image(input.wiring.service(other).image.value).tag;
              if (theirs.empty() || theirs == tag || !same_family(theirs, tag)) continue;
              report.add(service.image.where(), id,
                         fmt::format("'{}' runs {} {}, '{}' runs {} {}: they are released together", service.name, product->name, tag, input.wiring.service(other).name, sibling->name, theirs));
              return;
            }
          });
          std::map<std::string_view, ServiceId> first;  // by repository
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto image = product::split_image(service.image.value);
            if (image.repository.empty() || image.tag.empty() || service.build != nullptr || input.wiring.datastore(id) != nullptr) return;
            const auto [known, fresh] = first.emplace(image.repository, id);
            if (fresh) return;
            const auto& other = input.wiring.service(known->second);
            const auto theirs = product::split_image(other.image.value);
            if (theirs.tag == image.tag || theirs.registry != image.registry) return;
            if (!same_family(theirs.tag, image.tag)) return;
            if (!share_a_datastore(input, id, known->second)) return;
            report.add(service.image.where(), id,
                       fmt::format("'{}' runs {} {}, '{}' runs {}", service.name, image.repository, image.tag, other.name, theirs.tag));
          });
        },
};

}  // namespace dm::audit::rules

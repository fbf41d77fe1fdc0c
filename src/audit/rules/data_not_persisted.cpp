#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Newer images keep their data in a folder beside the old path; a mount of the parent holds both.
bool under_parent(const compose::Service& service, std::string_view path) {
  const auto parent = sources::parent_path(path);
  return std::ranges::any_of(service.mounts, [&](const auto& mount) { return mount.target == parent; });
}

}  // namespace

extern constinit const Rule data_not_persisted{
    .id = "DM0401",
    .name = "data-not-persisted",
    .severity = Severity::critical,
    .area = Area::recovery,
    .summary = "a datastore keeps its data in the container",
    .rationale = "The next `down`, update or re-creation of the container deletes the data, or leaves it in a "
                 "nameless volume that the next prune removes.",
    .fix = "Mount a named volume at the path where the product keeps its data.",
    .checks = "124 O34",
    .bad = R"(services:
  db:  # <- DM0401
    image: postgres:17
  events:  # <- DM0401
    image: confluentinc/cp-kafka:7.6.1
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
  cache:
    image: redis:7.4
  events:
    image: confluentinc/cp-kafka:7.6.1
    volumes: ["events:/var/lib/kafka"]
volumes: {events: }
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            if (store.mount != nullptr || store.wrong_path || !store.product->data.front().essential) continue;
            const auto& service = input.wiring.service(store.service);
            if (under_parent(service, store.data_path)) continue;
            report.add(service.where, store.service, fmt::format("'{}' keeps its {} data in the container: nothing is mounted at {}", service.name, store.product->name, store.data_path));
          }
          // What waits in a queue is no archive, but whoever sent it believes that it arrived.
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->kind != "queue" || product->data.empty() || input.wiring.one_shot[id]) return;
            const auto& path = product->data.front().path;
            const auto holds = [&](const compose::Mount& mount) { return path.starts_with(mount.target) || mount.target.starts_with(path); };
            if (std::ranges::any_of(service.mounts, holds)) return;
            report.add(service.where, id, fmt::format("'{}' keeps what waits in {} in the container: nothing is mounted at {}", service.name, product->name, path)).severity = Severity::medium;
          });
        },
};

}  // namespace dm::audit::rules

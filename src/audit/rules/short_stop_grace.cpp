#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// It writes what must not be lost, and its makers or its image name a time that this takes.
bool needs_time(const Input& input, ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  if (product == nullptr || product->stop_grace_period.empty() || input.wiring.one_shot[id]) return false;
  const auto* store = input.wiring.datastore(id);
  return store != nullptr ? !store->ephemeral : product->kind == "application" && !product->data.empty();
}

}  // namespace

extern constinit const Rule short_stop_grace{
    .id = "DM0808",
    .name = "short-stop-grace",
    .severity = Severity::medium,
    .area = Area::recovery,
    .summary = "a datastore is killed before it can shut down",
    .rationale = "After ten seconds the engine kills a container that is still writing. The database then "
                 "recovers from its log at the next start, which takes time, and not every product survives it.",
    .fix = "Set `stop_grace_period: 60s`, or what the product needs.",
    .checks = "126",
    .bad = R"(services:
  db:  # <- DM0808
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  hasty:
    image: postgres:17
    stop_grace_period: 3s  # <- DM0808
    volumes: ["hasty:/var/lib/postgresql/data"]
volumes: {pg: , hasty: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    stop_grace_period: 60s
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  web:
    image: nginx:1.27.2
  cache:
    image: example/cache:1
    volumes: ["c:/data"]
volumes: {c: }
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          blanket(
              input, report,
              [&](ServiceId id, const compose::Service& service) { return needs_time(input, id) && !service.stop_grace_period; },
              [&](const std::vector<ServiceId>& services) {
                const bool all = std::ranges::all_of(services, [&](ServiceId id) { return input.wiring.datastore(id) != nullptr; });
                return fmt::format("{} {} killed ten seconds after a stop: {}", counted(services.size(), all ? "datastore" : "service"), services.size() == 1 ? "is" : "are",
                                   join_names(input, services));
              });
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto given = service.stop_grace_period.value;
            if (given.size() != 2 || given[0] < '0' || given[0] > '9' || given[1] != 's' || !needs_time(input, id)) return;
            report.add(service.stop_grace_period.where(), id, fmt::format("'{}' is killed {} after a stop, sooner than without the key", service.name, given));
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

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
volumes: {pg: }
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
              [&](ServiceId id, const compose::Service& service) {
                const auto* store = input.wiring.datastore(id);
                return store != nullptr && !store->ephemeral && !store->product->stop_grace_period.empty() && !service.stop_grace_period;
              },
              [&](const auto& services) {
                return fmt::format("{} killed ten seconds after a stop: {}", services.size() == 1 ? "1 datastore is" : fmt::format("{} datastores are", services.size()),
                                   join_names(input, services));
              });
        },
};

}  // namespace dm::audit::rules

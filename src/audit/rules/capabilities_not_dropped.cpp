#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule capabilities_not_dropped{
    .id = "DM0604",
    .name = "capabilities-not-dropped",
    .severity = Severity::low,
    .area = Area::security,
    .summary = "services keep the default capabilities",
    .rationale = "The engine grants fourteen, raw sockets and the change of owners among them; most services need "
                 "none. Each is one more step that an intruder may take.",
    .fix = "Write `cap_drop: [ALL]` and add back by `cap_add` what the service proves to need.",
    .checks = "4 O8",
    .bad = R"(services:
  app:  # <- DM0604
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    cap_drop: [ALL]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    cap_drop: [all]
    cap_add: [CHOWN]
  other:
    image: example/app:1.0
    cap_drop: [NET_RAW]
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          blanket(
              input, report,
              [&](ServiceId id, const compose::Service& service) {
                // Products that must start as root need what they have; privileged ones have a finding of their own.
                const auto* product = input.wiring.product_of[id];
                return service.cap_drop.empty() && !service.privileged && (product == nullptr || !product->keeps_root);
              },
              [&](const std::vector<ServiceId>& services) {
                return fmt::format("{} {} all default capabilities: {}", services.size(),
                                   services.size() == 1 ? "service keeps" : "services keep",
                                   join_names(input, services));
              });
        },
};

}  // namespace dm::audit::rules

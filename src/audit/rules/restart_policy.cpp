#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule restart_policy{
    .id = "DM0803",
    .name = "restart-policy",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a restart policy that does not fit the kind of service",
    .rationale = "A long-running service without a policy stays down after a crash or a reboot; a one-shot that "
                 "restarts runs for ever.",
    .fix = "Long-running: `restart: unless-stopped`. One-shot: `restart: \"no\"`.",
    .checks = "60 O5",
    .bad = R"(services:
  app:  # <- DM0803
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    restart: unless-stopped
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    deploy: {restart_policy: {condition: any}}
  shell:
    image: example/app:1.0
    profiles: [tools]
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          std::vector<ServiceId> missing;
          std::vector<Location> where;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const bool policy = service.node->at({"deploy", "restart_policy"}) != nullptr;
            const bool never = !service.restart || service.restart.value == "no";
            if (input.wiring.one_shot[id]) {
              if (service.restart.value == "always" || service.restart.value == "unless-stopped")
                report.add(service.restart.where(), id, fmt::format("one-shot '{}' restarts for ever", service.name));
            } else if (service.restart && service.ports.empty() && !service.healthcheck) {
              return;  // "no" in its author's own words, and nothing speaks of a server
            } else if (run_by_hand(service)) {
              return;
            } else if (never && !policy) {
              missing.push_back(id);
              where.push_back(service.where);
            }
          });
          if (missing.empty()) return;
          auto message = fmt::format("{} down after a crash or a reboot: {}", of_all(input, missing.size(), "stays", "stay"), join_names(input, missing));
          report.add_all(std::move(where), std::move(missing), std::move(message));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Part of a stack for Swarm, where a task is started again unless the file says otherwise: keys that mean nothing to Compose.
bool for_swarm(const Input& input, const compose::Service& service) {
  const auto* mode = service.node->at({"deploy", "mode"});
  const auto* placement = service.node->at({"deploy", "placement"});  // the model has an empty one wherever there is a `deploy:`
  if ((placement != nullptr && placement->is_mapping() && !placement->entries->empty()) || (mode != nullptr && mode->string() == "global")) return true;
  return std::ranges::any_of(service.networks, [&](const auto& use) {
    const auto* network = input.project.network(use.network);
    return network != nullptr && network->driver == "overlay";
  });
}

}  // namespace

extern constinit const Rule restart_policy{
    .id = "DM0803",
    .name = "restart-policy",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a restart policy that does not fit the kind of service",
    .rationale = "A long-running service without a policy stays down after a crash or a reboot, one with `on-failure` maybe after a reboot; a one-shot that "
                 "restarts runs for ever.",
    .fix = "Long-running: `restart: unless-stopped`. One-shot: `restart: \"no\"`.",
    .checks = "60 O5",
    .bad = R"(services:
  app:  # <- DM0803
    image: example/app:1.0
    deploy: {resources: {limits: {memory: 64M}}}
  db:
    image: postgres:17
    restart: on-failure  # <- DM0803
    healthcheck: {test: [CMD, pg_isready, -h, localhost]}
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    restart: unless-stopped
  db:
    image: postgres:17
    restart: unless-stopped
    healthcheck: {test: [CMD, pg_isready, -h, localhost]}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    deploy: {restart_policy: {condition: any}}
  task:
    image: example/app:1.0
    deploy: {placement: {constraints: [node.role == worker]}}
  worker:
    image: example/app:1.0
    restart: on-failure
  shell:
    image: example/app:1.0
    profiles: [tools]
  backup:
    image: example/db-tools:1.0
    profiles: [backup]
    entrypoint: [/bin/sh, -c]
    command: ["pg_dump --host=db --file=/backup/db.dump"]
    volumes: ["./backups:/backup"]
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          std::vector<ServiceId> missing, on_failure;
          std::vector<Location> where, on_failure_where;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const bool policy = service.node->at({"deploy", "restart_policy"}) != nullptr;
            const bool never = !service.restart || service.restart.value == "no";
            if (input.wiring.one_shot[id]) {
              if (service.restart.value == "always" || service.restart.value == "unless-stopped")
                report.add(service.restart.where(), id, fmt::format("one-shot '{}' restarts for ever", service.name));
            } else if (service.restart.value.starts_with("on-failure") && (!service.ports.empty() || service.healthcheck)) {
              on_failure.push_back(id);
              on_failure_where.push_back(service.restart.where() ? service.restart.where() : service.where);
            } else if (service.restart && service.ports.empty() && !service.healthcheck) {
              return;  // "no" in its author's own words, and nothing speaks of a server
            } else if (run_by_hand(service) || for_swarm(input, service)) {
              return;
            } else if (never && !policy) {
              missing.push_back(id);
              where.push_back(service.where);
            }
          });
          if (!on_failure.empty()) {
            auto message = fmt::format("{} down after a reboot (on-failure): {}", of_all(input, on_failure.size(), "may stay", "may stay"), join_names(input, on_failure));
            auto& finding = report.add_all(std::move(on_failure_where), std::move(on_failure), std::move(message), "`on-failure` restarts what ends with an error while the engine runs, not what it finds stopped");
            finding.severity = Severity::low;
          }
          if (missing.empty()) return;
          auto message = fmt::format("{} down after a crash or a reboot: {}", of_all(input, missing.size(), "stays", "stay"), join_names(input, missing));
          report.add_all(std::move(where), std::move(missing), std::move(message));
        },
};

}  // namespace dm::audit::rules

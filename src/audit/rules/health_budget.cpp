#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "compose/units.hpp"

namespace dm::audit::rules {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

/// A first check that comes later than this holds its dependents up for no reason.
constexpr nanoseconds kLongWait = seconds(60);

/// For each service, who waits until it is healthy.
std::vector<std::vector<ServiceId>> waiting(const Input& input) {
  std::vector<std::vector<ServiceId>> out(input.project.services.size());
  each_service(input, [&](ServiceId id, const compose::Service& service) {
    for (const auto& dependency : service.depends_on)
      if (const auto target = input.wiring.id_of(dependency.service); target != wiring::kNone && dependency.condition == "service_healthy") out[target].push_back(id);
  });
  return out;
}

}  // namespace

extern constinit const Rule health_budget{
    .id = "DM0102",
    .name = "health-budget",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a healthcheck gives up too early, or delays all that wait for it",
    .rationale = "Compose stops the start as soon as a service that others wait for turns unhealthy: after `start_period` + "
                 "`interval` x `retries`. A database that initialises its folder, or repairs itself after a power loss, needs "
                 "longer. The other way round, without `start_period` the first check comes only after one whole `interval`, and "
                 "every dependent waits for it.",
    .fix = "Give a `start_period` as long as the slowest start (failures in it do not count) and a `start_interval: 5s` (a success "
           "in it counts at once; needs Docker Engine 25 or newer: on an older one Compose refuses to start the service, so write a shorter "
           "`interval` there).",
    .checks = "113 O1 O31",
    .bad = R"(services:
  app:
    image: example/app:1.0
    depends_on:
      db: {condition: service_healthy}
      search: {condition: service_healthy}
  db:
    image: mariadb:11.4
    healthcheck:  # <- DM0102
      test: ["CMD", "healthcheck.sh", "--connect", "--innodb_initialized"]
      interval: 5s
      retries: 3
  search:
    image: example/search:1.0
    healthcheck:  # <- DM0102
      test: ["CMD", "curl", "-f", "http://localhost:7700/health"]
      interval: 5m
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    depends_on:
      db: {condition: service_healthy}
      search: {condition: service_healthy}
  db:
    image: mariadb:11.4
    healthcheck:
      test: ["CMD", "healthcheck.sh", "--connect", "--innodb_initialized"]
      interval: 5s
      retries: 3
      start_period: 60s
  search:
    image: example/search:1.0
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:7700/health"]
      interval: 5m
      start_period: 60s
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    depends_on:
      db: {condition: service_started}
  db:
    image: mariadb:11.4
    healthcheck:
      test: ["CMD", "healthcheck.sh", "--connect", "--innodb_initialized"]
      interval: 5m
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          const auto waits = waiting(input);
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (waits[id].empty() || !service.healthcheck || service.healthcheck->disabled) return;
            const auto& check = *service.healthcheck;
            const auto interval = check.interval.value_or(seconds(30));
            const auto start = check.start_period.value_or(seconds(0));
            const auto retries = std::clamp<std::int64_t>(check.retries.value_or(3), 1, 1000);  // 0 means the default
            const auto budget = start + interval * retries;
            const auto* product = input.wiring.product_of[id];
            const auto needed = product == nullptr || product->health.empty() ? std::nullopt : compose::parse_duration(product->health.front().start_period);
            // The product's start_period has room to spare; a budget of half of it works on most machines.
            if (needed && budget * 2 < *needed) {
              report.add(place(service, "healthcheck"), id,
                         fmt::format("'{}' counts as failed {} after its start; {} may need {}", service.name, compose::format_duration(budget),
                                     product->name, compose::format_duration(*needed)),
                         fmt::format("start_period {} + interval {} x {} retries; waiting for it: {}", compose::format_duration(start),
                                     compose::format_duration(interval), retries, join_names(input, waits[id])),
                         fmt::format("write `start_period: {}`", product->health.front().start_period));
              return;
            }
            const auto first = start > seconds(0) ? check.start_interval.value_or(seconds(5)) : interval;
            if (first < kLongWait) return;
            report.add(place(service, "healthcheck"), id,
                       fmt::format("the first check of '{}' comes {} after its start, and others wait for it", service.name, compose::format_duration(first)),
                       fmt::format("waiting for it: {}", join_names(input, waits[id])), "write `start_period: 60s` and `start_interval: 5s` beside the interval (Docker Engine 25 or newer); before that, a shorter interval");
          });
        },
};

}  // namespace dm::audit::rules

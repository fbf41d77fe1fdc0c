#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// All its profiles name work that somebody does by hand, so that nothing waits for it and nobody is to be told when it stops.
bool run_by_hand(const compose::Service& service) {
  static constexpr std::string_view kByHand[] = {"tool", "tools", "cli", "debug", "manual", "util", "utils", "script", "scripts", "job", "jobs", "task", "tasks", "ops",
                                                 "seed", "migrate", "migration", "setup", "init", "test", "tests", "oneshot", "one-shot", "console", "shell"};
  if (service.profiles.empty() || service.restart.value == "always" || service.restart.value == "unless-stopped") return false;
  return std::ranges::all_of(service.profiles, [](const auto& profile) { return std::ranges::find(kByHand, profile.value) != std::end(kByHand); });
}

}  // namespace

extern constinit const Rule healthcheck_missing{
    .id = "DM0304",
    .name = "healthcheck-missing",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "long-running services without a healthcheck",
    .rationale = "Docker takes a hanging service for a running one: nothing waits for it to be ready, and nobody "
                 "hears when it stops working. (The image may bring a check of its own; the files do not say.)",
    .fix = "Add a `healthcheck:` that asks the service itself.",
    .checks = "66 O1",
    .bad = R"(services:
  app:  # <- DM0304
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8080/health"]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    healthcheck: {test: [CMD, /bin/check]}
    depends_on:
      init: {condition: service_completed_successfully}
  init:
    image: example/app:1.0
  photos:
    image: example/photos:1.0
    healthcheck: {disable: false}
  tables:
    image: adminer:4.8.1
    profiles: [tools]
    ports: ["127.0.0.1:8081:8080"]
  check:
    image: example/app:1.0
    command: ["python", "scripts/check_schema.py"]
    restart: "no"
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          blanket(input, report, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id] || run_by_hand(service)) return false;
            const auto* product = input.wiring.product_of[id];
            const bool inherits = !service.healthcheck || (!service.healthcheck->disabled && service.healthcheck->test.empty());
            if (inherits && product != nullptr && product->image_health && service.entrypoint_node == nullptr) return false;
            if (service.healthcheck && inherits) return false;  // times or `disable: false` alone: the image brings the test
            return inherits || service.healthcheck->disabled;
          }, [&](const std::vector<ServiceId>& ids) { return fmt::format("{} no healthcheck: {}", of_all(input, ids.size(), "has", "have"), join_names(input, ids)); });
        },
};

}  // namespace dm::audit::rules

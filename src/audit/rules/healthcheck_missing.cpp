#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

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
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          blanket(input, report, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id]) return false;
            const auto* product = input.wiring.product_of[id];
            const bool inherits = !service.healthcheck || (!service.healthcheck->disabled && service.healthcheck->test.empty());
            if (inherits && product != nullptr && product->image_health && service.entrypoint_node == nullptr) return false;
            if (service.healthcheck && inherits) return false;  // times or `disable: false` alone: the image brings the test
            return inherits || service.healthcheck->disabled;
          }, [&](const std::vector<ServiceId>& ids) { return fmt::format("{} no healthcheck: {}", of_all(input, ids.size(), "has", "have"), join_names(input, ids)); });
        },
};

}  // namespace dm::audit::rules

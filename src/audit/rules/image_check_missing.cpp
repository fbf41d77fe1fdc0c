#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule image_check_missing{
    .rule = {
        .id = "DM1014",
        .name = "image-check-missing",
        .severity = Severity::medium,
        .area = Area::operations,
        .summary = "a healthcheck that counts on a test which the image does not have",
        .rationale = "The files change times of a healthcheck and leave the test to the image; this image has none, so nothing is ever checked and `service_healthy` never comes.",
        .fix = "Write the `test:` of the healthcheck into the compose file.",
        .checks = "44 66",
        .bad = R"(services:
  app:  # <- DM1014
    image: example/app:1.0
    healthcheck: {interval: 10s}
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}], "images": [{"name": "example/app:1.0", "id": "sha256:1"}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
    healthcheck: {interval: 10s, test: [CMD, /bin/check]}
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}], "images": [{"name": "example/app:1.0", "id": "sha256:1"}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
    healthcheck: {interval: 10s}
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "health": "healthy"}], "images": [{"name": "example/app:1.0", "id": "sha256:1", "healthcheck": true}]}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            const auto& check = service.healthcheck;
            if (!check || check->disabled || !check->test.empty() || !container.health.empty()) return;
            const auto* image = input.facts->image(container.image);
            if (image != nullptr && !image->id.empty() && image->id == container.image_id && !image->healthcheck)
              report.add(service.where, id, fmt::format("'{}' has no healthcheck: the files name no test, and {} brings none", container.name, container.image));
          });
        },
};

}  // namespace dm::audit::rules

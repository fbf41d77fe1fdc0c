#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule container_stopped{
    .rule = {
        .id = "DM1010",
        .name = "container-stopped",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "services whose container does not run",
        .rationale = "It is there and does not run: it ended, was stopped by hand, or could not be started. A one-shot that failed leaves its work undone, and what waits for it never starts.",
        .fix = "Read why it ended (`docker logs CONTAINER`), then start it: `datamancy up SERVICE`.",
        .checks = "O31 O35 O53",
        .bad = R"(services:
  app:  # <- DM1010
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "exited", "image": "example/app:1.0", "image_id": "sha256:1", "exit_code": 3}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}]}
)",
        .look_alike = R"(services:
  migrate:
    image: example/app:1.0
    command: migrate
    restart: "no"
  app:
    image: example/app:1.0
    depends_on: {migrate: {condition: service_completed_successfully}}
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}, {"name": "shop-migrate-1", "service": "migrate", "state": "exited", "image": "example/app:1.0", "image_id": "sha256:1", "exit_code": 0}]}
)",
        .minutes = 10,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            if (container.state == "running" || container.state == "restarting") return;
            if (input.wiring.one_shot[id] && container.state == "exited" && container.exit_code == 0) return;
            std::string why = container.state;
            if (container.state == "exited") why += fmt::format(" with {}", container.exit_code);
            report.add(service.where, id, fmt::format("'{}' does not run: {}", container.name, why), container.error);
          });
        },
};

}  // namespace dm::audit::rules

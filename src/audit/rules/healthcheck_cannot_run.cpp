#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule healthcheck_cannot_run{
    .rule = {
        .id = "DM1006",
        .name = "healthcheck-cannot-run",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "a healthcheck whose tool cannot be started",
        .rationale = "The engine tries to run the check and cannot: the tool is not in the image, or may not be executed. The container is called unhealthy although the service may be fine, whatever waits for it never starts, and a restarter would restart it for ever.",
        .fix = "Use a tool that the image has, or build one in.",
        .checks = "110 O1 O35",
        .bad = R"(services:
  app:  # <- DM1006
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "health": "unhealthy", "health_log": [{"exit_code": -1, "output": "OCI runtime exec failed: exec failed: unable to start container process: exec: \"curl\": executable file not found in $PATH: unknown"}]}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "health": "healthy", "health_log": [{"exit_code": 0, "output": "ok"}]}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "health": "unhealthy", "health_log": [{"exit_code": 1, "output": "HTTP 404: page not found"}]}]}
)",
        .minutes = 10,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            const auto words = broken_check(container);
            if (words.empty()) return;
            const auto* node = service.healthcheck ? service.healthcheck->node : nullptr;
            report.add(node != nullptr ? node->where : service.where, id, fmt::format("the healthcheck of '{}' cannot run", container.name), words.substr(0, words.find('\n')));
          });
        },
};

}  // namespace dm::audit::rules

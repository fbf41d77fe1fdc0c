#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule restart_loop{
    .rule = {
        .id = "DM1007",
        .name = "restart-loop",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "containers that restart again and again",
        .rationale = "It starts, fails, and the engine starts it again, up to once a minute for ever. Between two failures it looks as if it ran.",
        .fix = "Read why: `docker logs --tail 50 CONTAINER`. The exit code and the last lines name the cause.",
        .checks = "O35 O53",
        .bad = R"(services:
  app:  # <- DM1007
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "restarting", "image": "example/app:1.0", "image_id": "sha256:1", "restart_count": 7, "exit_code": 1, "started": 999990}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "restart_count": 0, "started": 999990}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "restart_count": 7, "started": 900000}]}
)",
        .minutes = 15,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            const bool now = container.state == "restarting";
            const bool lately = container.restart_count >= 3 && input.facts->observed - container.started < 600;
            if (!now && !lately) return;
            report.add(service.where, id, fmt::format("'{}' restarts again and again", container.name),
                       fmt::format("{} restarts, last exit code {}{}", container.restart_count, container.exit_code, container.error.empty() ? "" : ": " + container.error));
          });
        },
};

}  // namespace dm::audit::rules

#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule unhealthy{
    .rule = {
        .id = "DM1009",
        .name = "unhealthy",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "containers that are unhealthy, or never became healthy",
        .rationale = "Its own check says that it does not serve. The engine does nothing about it: restart policies act on exits only.",
        .fix = "The output of the check says why: `docker inspect -f \"{{json .State.Health}}\" CONTAINER`.",
        .checks = "O35 O53",
        .bad = R"(services:
  app:  # <- DM1009
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "health": "unhealthy", "failing_streak": 12, "health_log": [{"exit_code": 1, "output": "connection refused"}]}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "health": "healthy"}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "health": "starting", "started": 999990, "health_budget": 60}]}
)",
        .minutes = 15,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            // A paused or stopped container is called unhealthy too; a check that cannot run has a rule of its own.
            if (container.state != "running" || !broken_check(container).empty()) return;
            const auto last = container.health_log.empty() ? std::string() : container.health_log.back().output;
            const auto evidence = fmt::format("{} failures in a row{}{}", container.failing_streak, last.empty() ? "" : "; the last said: ", last.substr(0, last.find('\n')));
            const auto age = input.facts->observed - container.started;
            if (container.health == "unhealthy") {
              report.add(service.where, id, fmt::format("'{}' is unhealthy", container.name), evidence);
            } else if (container.health == "starting" && container.health_budget > 0 && age > container.health_budget + 30) {
              report.add(service.where, id, fmt::format("'{}' has not become healthy in {}", container.name, span(age)), evidence);
            }
          });
        },
};

}  // namespace dm::audit::rules

#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule killed_for_memory{
    .rule = {
        .id = "DM1008",
        .name = "killed-for-memory",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "containers in which the kernel killed a process for memory",
        .rationale = "The limit was reached and the kernel killed a process. Often only a worker dies and the container goes on, so that nobody notices: the engine flags it at most when the main process ends.",
        .fix = "Give it more memory, or find what takes it.",
        .checks = "O52",
        .bad = R"(services:
  app:  # <- DM1008
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "oom_kills": 2}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "oom_kills": 0}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "exited", "image": "example/app:1.0", "image_id": "sha256:1", "exit_code": 137}]}
)",
        .minutes = 15,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            const auto kills = container.oom_kills.value_or(0);
            if (kills == 0 && !container.oom_killed) return;
            report.add(service.where, id, fmt::format("the kernel killed a process of '{}' for memory", container.name),
                       fmt::format("{}limit {}", kills > 0 ? fmt::format("{} since it started, ", counted(static_cast<std::size_t>(kills), "kill")) : "", bytes(container.memory_limit)));
          });
        },
};

}  // namespace dm::audit::rules

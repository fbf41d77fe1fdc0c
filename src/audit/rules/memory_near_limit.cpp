#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule memory_near_limit{
    .rule = {
        .id = "DM1012",
        .name = "memory-near-limit",
        .severity = Severity::medium,
        .area = Area::operations,
        .summary = "containers that use over 80 % of their memory limit",
        .rationale = "The next busy hour reaches the limit, and the kernel kills a process.",
        .fix = "Raise the limit or find the leak.",
        .checks = "O52",
        .bad = R"(services:
  app:  # <- DM1012
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "memory_limit": 1000000000, "memory_use": 900000000}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "memory_limit": 1000000000, "memory_use": 500000000}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "memory_limit": 0, "memory_use": 9000000000}]}
)",
        .minutes = 10,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            if (container.memory_limit <= 0 || container.memory_use.value_or(0) * 10 <= container.memory_limit * 8) return;
            report.add(service.where, id, fmt::format("'{}' uses {} % of its memory limit", container.name, *container.memory_use * 100 / container.memory_limit),
                       fmt::format("{} of {}", bytes(*container.memory_use), bytes(container.memory_limit)));
          });
        },
};

}  // namespace dm::audit::rules

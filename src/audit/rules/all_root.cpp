#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule all_root{
    .rule = {
        .id = "DM1015",
        .name = "all-root",
        .severity = Severity::low,
        .area = Area::security,
        .summary = "everything in a container runs as root",
        .rationale = "Neither the files nor the image choose a user, and no process gave root up: a hole in the program is root in the container, with its capabilities and all its volumes.",
        .fix = "Give the service a `user:` that owns its data, where the image can run so; else `cap_drop: [ALL]` with the few that it needs.",
        .checks = "12 45",
        .bad = R"(services:
  app:  # <- DM1015
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "root_only": true}], "images": [{"name": "example/app:1.0", "id": "sha256:1"}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
    user: "1000"
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "user": "1000", "root_only": false}], "images": [{"name": "example/app:1.0", "id": "sha256:1"}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "root_only": false}], "images": [{"name": "example/app:1.0", "id": "sha256:1"}]}
)",
        .minutes = 30,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            // A user that the files name is the files' rules' business; an entrypoint that gives root up shows in its processes.
            if (!container.root_only.value_or(false) || !container.user.empty() || container.privileged) return;
            if (std::ranges::any_of(service.cap_drop, [](const auto& name) { return name.value == "ALL" || name.value == "all"; })) return;
            report.add(service.where, id, fmt::format("'{}': all of its processes run as root", container.name));
          });
        },
};

}  // namespace dm::audit::rules

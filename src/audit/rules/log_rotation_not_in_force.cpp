#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule log_rotation_not_in_force{
    .rule = {
        .id = "DM1005",
        .name = "log-rotation-not-in-force",
        .severity = Severity::medium,
        .area = Area::operations,
        .summary = "running containers whose logs are not rotated",
        .rationale = "The rotation that counts is that of the container as it was created. A default in daemon.json holds only for containers created after it; so does an `x-logging` block that was added later. Meanwhile the log grows until the disk is full.",
        .fix = "Recreate the containers (`datamancy up`); they take the rotation of the files or of daemon.json.",
        .checks = "129 O11 O38",
        .bad = R"(services:
  app:  # <- DM1005
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "log_driver": "json-file", "created": 500000}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "log_driver": "json-file", "log_options": {"max-size": "10m", "max-file": "3"}}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "log_driver": "local"}]}
)",
        .minutes = 2,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          std::vector<ServiceId> ids;
          std::vector<Location> where;
          std::string evidence;
          std::int64_t most = 0;
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            if (input.wiring.one_shot[id] || container.log_driver != "json-file" || container.log_options.contains("max-size")) return;
            if (container.log_bytes.value_or(0) > most) {
              most = *container.log_bytes;
              evidence = fmt::format("the log of '{}' has {} already", container.name, bytes(most));
            }
            if (evidence.empty() && input.facts->daemon.log_options.contains("max-size") && container.created < input.facts->daemon.settings_changed)
              evidence = fmt::format("'{}' was created before daemon.json got its rotation", container.name);
            if (!ids.empty() && ids.back() == id) return;
            ids.push_back(id);
            where.push_back(service.where);
          });
          if (ids.empty()) return;
          auto text = fmt::format("{} without rotation in force: {}", of_all(input, ids.size(), "logs", "log"), join_names(input, ids));
          report.add_all(std::move(where), std::move(ids), std::move(text), std::move(evidence));
        },
};

}  // namespace dm::audit::rules

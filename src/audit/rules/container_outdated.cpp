#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule container_outdated{
    .rule = {
        .id = "DM1002",
        .name = "container-outdated",
        .severity = Severity::medium,
        .area = Area::operations,
        .summary = "containers made from another configuration than the files say",
        .rationale = "The files were changed after the container was created. What was reviewed and audited is not what runs; the change arrives at the next `up`, perhaps in the middle of the night.",
        .fix = "Look at the difference (`datamancy plan`), then `datamancy up` at a time of your choice.",
        .checks = "O31",
        .bad = R"(services:
  app:  # <- DM1002
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "config_hashes": {"app": "new"}, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "config_hash": "old"}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "config_hashes": {"app": "same"}, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "config_hash": "same"}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "config_hashes": {}, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "config_hash": "unknown"}]}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          std::vector<ServiceId> ids;
          std::vector<Location> where;
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            const auto wanted = input.facts->config_hashes.find(std::string(service.name));
            if (wanted == input.facts->config_hashes.end() || container.config_hash.empty() || container.config_hash == wanted->second) return;
            if (!ids.empty() && ids.back() == id) return;
            ids.push_back(id);
            where.push_back(service.where);
          });
          if (ids.empty()) return;
          auto text = fmt::format("{} a container of an older configuration: {}", of_all(input, ids.size(), "has", "have"), join_names(input, ids));
          report.add_all(std::move(where), std::move(ids), std::move(text), "Compose's config-hash label differs from `docker compose config --hash '*'`");
        },
};

}  // namespace dm::audit::rules

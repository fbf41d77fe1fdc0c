#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule container_missing{
    .rule = {
        .id = "DM1001",
        .name = "container-missing",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "services that have no container on the engine",
        .rationale = "The files declare it, the engine does not have it: it was never created, or somebody removed it. Everything that needs it fails, and no monitor of containers sees what is not there.",
        .fix = "Start it: `datamancy up SERVICE` (or `docker compose up -d SERVICE`). If it is not wanted, put it behind a profile.",
        .checks = "O31 O53",
        .bad = R"(services:
  app:
    image: example/app:1.0
  db:  # <- DM1001
    image: postgres:17
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
  db:
    image: postgres:17
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}, {"name": "shop-db-1", "service": "db", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
  tools:
    image: example/tools:1.0
    profiles: [tools]
  off:
    image: example/off:1.0
    deploy: {replicas: 0}
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}]}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            std::vector<ServiceId> missing;
            std::vector<Location> where;
            each_service(input, [&](ServiceId id, const compose::Service& service) {
              if (!service.enabled || !facts.of(service.name).empty()) return;
              for (const auto* count : {service.node->at({"deploy", "replicas"}), service.node->find("scale")})
                if (count != nullptr && count->text == "0") return;
              missing.push_back(id);
              where.push_back(service.where);
            });
            if (missing.empty()) return;
            auto text = facts.containers.empty() ? fmt::format("nothing of project '{}' is on the engine", facts.project)
                                                 : fmt::format("{} no container: {}", of_all(input, missing.size(), "has", "have"), join_names(input, missing));
            report.add_all(std::move(where), std::move(missing), std::move(text));
          });
        },
};

}  // namespace dm::audit::rules

#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule limit_not_in_force{
    .rule = {
        .id = "DM1004",
        .name = "limit-not-in-force",
        .severity = Severity::high,
        .area = Area::operations,
        .summary = "limits in force that differ from the files",
        .rationale = "A limit in a file holds nobody back: it counts when the engine and the kernel have it. Containers created before the limit was written, `docker update`, and engines without the controller run without it.",
        .fix = "Recreate the container (`datamancy up SERVICE`), or set it in place: `docker update --memory ...`.",
        .checks = "54 55 57 O10 O36",
        .bad = R"(services:
  app:  # <- DM1004
    image: example/app:1.0
    deploy: {resources: {limits: {memory: 512m}}}
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "memory_limit": 0}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
    deploy: {resources: {limits: {memory: 512m}}}
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "memory_limit": 536870912, "cgroup_memory_limit": 536870912}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
    deploy: {resources: {limits: {memory: 512m}}}
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "exited", "image": "example/app:1.0", "image_id": "sha256:1", "memory_limit": 536870912}]}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            const auto differs = [&](std::string_view what, const std::string& wanted, const std::string& is) {
              report.add(service.where, id, fmt::format("'{}': the files limit {} to {}, in force is {}", container.name, what, wanted, is));
            };
            if (service.limits.memory) {
              const auto wanted = static_cast<std::int64_t>(*service.limits.memory);
              if (container.memory_limit != wanted) {
                differs("memory", bytes(wanted), bytes(container.memory_limit));
              } else if (container.cgroup_memory_limit && std::abs(*container.cgroup_memory_limit - wanted) > 65536) {  // the kernel rounds to pages
                differs("memory", bytes(wanted), fmt::format("{} in the kernel", bytes(*container.cgroup_memory_limit)));
              }
            }
            if (service.limits.cpus && std::abs(static_cast<double>(container.nano_cpus) - *service.limits.cpus * 1e9) > 1e6)
              differs("CPU", fmt::format("{:g}", *service.limits.cpus), container.nano_cpus == 0 ? "none" : fmt::format("{:g}", static_cast<double>(container.nano_cpus) / 1e9));
            if (service.limits.pids && *service.limits.pids > 0 && container.pids_limit != *service.limits.pids)
              differs("processes", std::to_string(*service.limits.pids), container.pids_limit == 0 ? "none" : std::to_string(container.pids_limit));
          });
        },
};

}  // namespace dm::audit::rules

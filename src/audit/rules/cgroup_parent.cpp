#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule cgroup_parent{
    .id = "DM0622",
    .name = "cgroup-parent",
    .severity = Severity::low,
    .area = Area::security,
    .summary = "service runs in a control group of its own choice",
    .rationale = "Limits that the host sets for all containers do not hold there, and what it uses is counted for "
                 "somebody else.",
    .fix = "Leave `cgroup_parent` out; set limits at the service.",
    .checks = "22",
    .bad = R"(services:
  app:
    image: example/app:1.0
    cgroup_parent: system.slice  # <- DM0622
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    cgroup: private
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* parent = service.node->find("cgroup_parent");
            if (parent == nullptr || parent->string().empty()) return;
            report.add(parent->where, id, fmt::format("'{}' runs in the control group {}", service.name,
                                                         parent->string()));
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule no_new_privileges{
    .id = "DM0602",
    .name = "no-new-privileges",
    .severity = Severity::low,
    .area = Area::security,
    .summary =
        "processes may gain privileges through setuid programs",
    .rationale =
        "Without `no-new-privileges` a setuid program in the image turns an intruder into root of "
        "the container.",
    .fix =
        "Add `security_opt: [no-new-privileges:true]`, unless the image itself needs setuid "
        "programs.",
    .checks = "2 O8",
    .bad = R"(services:
  app:  # <- DM0602
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    security_opt: [no-new-privileges:true]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    security_opt: ["no-new-privileges=true"]
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          const auto& services = input.project.services;
          std::vector<ServiceId> ids;
          std::vector<Location> where;
          for (ServiceId id = 0; id < services.size(); ++id) {
            bool set = services[id].privileged;  // which has a finding of its own
            for (const auto& option : services[id].security_opt) {
              const auto text = option.value;
              set = set || text == "no-new-privileges" || text == "no-new-privileges:true" || text == "no-new-privileges=true";
            }
            if (set) continue;
            ids.push_back(id);
            where.push_back(services[id].where);
          }
          if (ids.empty()) return;
          auto message = fmt::format("{} without no-new-privileges: {}", of_all(input, ids.size(), "runs", "run"), join_names(input, ids));
          report.add_all(std::move(where), std::move(ids), std::move(message));
        },
};

}  // namespace dm::audit::rules

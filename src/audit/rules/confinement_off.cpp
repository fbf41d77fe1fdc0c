#include <fmt/format.h>

#include "audit/rule.hpp"

namespace dm::audit::rules {

extern constinit const Rule confinement_off{
    .id = "DM0614",
    .name = "confinement-off",
    .severity = Severity::high,
    .area = Area::security,
    .summary =
        "seccomp, AppArmor or SELinux is switched off",
    .rationale =
        "The default profiles block the kernel calls and paths that known escapes use. Without them "
        "one kernel bug is enough.",
    .fix =
        "Remove the option, or name a profile that allows only what the service needs.",
    .checks = "14 15 16",
    .bad = R"(services:
  app:
    image: example/app:1.0
    security_opt:
      - seccomp:unconfined  # <- DM0614
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    security_opt: ["no-new-privileges:true", "label:type:container_t"]
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          static constexpr std::string_view kOff[] = {"seccomp:unconfined", "seccomp=unconfined", "apparmor:unconfined",
                                                      "apparmor=unconfined", "label:disable", "label=disable"};
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            for (const auto& option : services[id].security_opt) {
              for (const auto off : kOff) {
                if (option.value == off) {
                  report.add(option.where(), id, fmt::format("service '{}' switches off confinement: {}", services[id].name, off));
                }
              }
            }
          }
        },
};

}  // namespace dm::audit::rules

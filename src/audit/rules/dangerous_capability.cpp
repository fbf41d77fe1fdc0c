#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule dangerous_capability{
    .id = "DM0605",
    .name = "dangerous-capability",
    .severity = Severity::critical,
    .area = Area::security,
    .summary =
        "capability that hands out root on the host",
    .rationale =
        "These capabilities let the container load kernel modules, mount file systems or write raw "
        "devices: it is root on the host.",
    .fix =
        "Remove the capability; ask what the service really needs and grant only that.",
    .checks = "5 O8",
    .bad = R"(services:
  app:
    image: example/app:1.0
    cap_add:
      - SYS_ADMIN  # <- DM0605
      - cap_sys_module  # <- DM0605
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    cap_add: [NET_BIND_SERVICE]
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    cap_drop: [ALL]
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          static constexpr std::string_view kDangerous[] = {"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO"};
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            for (const auto& capability : services[id].cap_add) {
              const auto name = capability_name(capability.value);
              for (const auto bad : kDangerous) {
                if (name != bad) continue;
                report.add(capability.where(), id,
                           fmt::format("service '{}' has {}: as good as root on the host", services[id].name, name));
              }
            }
          }
        },
};

}  // namespace dm::audit::rules

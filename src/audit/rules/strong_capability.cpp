#include <fmt/format.h>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule strong_capability{
    .id = "DM0606",
    .name = "strong-capability",
    .severity = Severity::medium,
    .area = Area::security,
    .summary =
        "capability that reaches beyond the container",
    .rationale =
        "With these capabilities an intruder can rewrite the network, read any file, trace "
        "processes or disturb the whole machine.",
    .fix =
        "Remove it, or record with a suppression why the service needs it (a VPN needs NET_ADMIN).",
    .checks = "6 7 8 9 10",
    .bad = R"(services:
  app:
    image: example/app:1.0
    cap_add:
      - SYS_PTRACE  # <- DM0606
      - net_admin  # <- DM0606
      - cap_syslog  # <- DM0606
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    cap_add: [NET_BIND_SERVICE, CHOWN]
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          static constexpr std::string_view kStrong[] = {"NET_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_TIME", "PERFMON",
                                                         "SYS_BOOT",  "SYSLOG",     "BPF",             "SYS_NICE", "IPC_LOCK",   "LEASE"};
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            for (const auto& capability : services[id].cap_add) {
              const auto name = capability_name(capability.value);
              for (const auto strong : kStrong) {
                if (name == strong) {
                  report.add(capability.where(), id, fmt::format("service '{}' is granted {}", services[id].name, name));
                }
              }
            }
          }
        },
};

}  // namespace dm::audit::rules

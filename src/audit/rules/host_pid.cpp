#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule host_pid{
    .id = "DM0618",
    .name = "host-pid",
    .severity = Severity::high,
    .area = Area::security,
    .summary =
        "service sees the processes of the host",
    .rationale =
        "It can read the environment of every process, with its secrets, and signal them.",
    .fix =
        "Remove it.",
    .checks = "18",
    .bad = R"(services:
  app:
    image: example/app:1.0
    pid: host  # <- DM0618
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    labels: {pid: "host"}
)",
    .minutes = 15,
    .check = [](const Input& input, Report& report) { shares_with_host(input, report, "pid"); },
};

}  // namespace dm::audit::rules

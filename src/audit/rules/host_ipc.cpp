#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule host_ipc{
    .id = "DM0619",
    .name = "host-ipc",
    .severity = Severity::high,
    .area = Area::security,
    .summary =
        "service shares the memory segments of the host",
    .rationale =
        "It can read and change the shared memory of other programs.",
    .fix =
        "Remove it; raise `shm_size` where more shared memory is needed.",
    .checks = "19",
    .bad = R"(services:
  app:
    image: example/app:1.0
    ipc: host  # <- DM0619
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    labels: {ipc: "host"}
)",
    .minutes = 15,
    .check = [](const Input& input, Report& report) { shares_with_host(input, report, "ipc"); },
};

}  // namespace dm::audit::rules

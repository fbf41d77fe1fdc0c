#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule host_uts{
    .id = "DM0620",
    .name = "host-uts",
    .severity = Severity::medium,
    .area = Area::security,
    .summary =
        "service may rename the host",
    .rationale =
        "It shares the host name with the machine and may change it.",
    .fix =
        "Remove it and set `hostname:`.",
    .checks = "20",
    .bad = R"(services:
  app:
    image: example/app:1.0
    uts: host  # <- DM0620
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    labels: {uts: "host"}
)",
    .minutes = 15,
    .check = [](const Input& input, Report& report) { shares_with_host(input, report, "uts"); },
};

}  // namespace dm::audit::rules

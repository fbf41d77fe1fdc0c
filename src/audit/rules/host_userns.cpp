#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule host_userns{
    .id = "DM0621",
    .name = "host-userns",
    .severity = Severity::medium,
    .area = Area::security,
    .summary =
        "service opts out of user namespaces",
    .rationale =
        "Where the engine maps users, root in this container is root of the host again.",
    .fix =
        "Remove it.",
    .checks = "21",
    .bad = R"(services:
  app:
    image: example/app:1.0
    userns_mode: host  # <- DM0621
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    labels: {userns_mode: "host"}
)",
    .minutes = 15,
    .check = [](const Input& input, Report& report) { shares_with_host(input, report, "userns_mode"); },
};

}  // namespace dm::audit::rules

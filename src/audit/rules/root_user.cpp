#include <fmt/format.h>

#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule root_user{
    .id = "DM0611",
    .name = "root-user",
    .severity = Severity::low,
    .area = Area::security,
    .summary =
        "service asks to run as root",
    .rationale =
        "An explicit `user: root` overrides the unprivileged user that the image may have: an "
        "escape starts as root.",
    .fix =
        "Remove it, or name the user that the image provides.",
    .checks = "11",
    .bad = R"(services:
  app:
    image: example/app:1.0
    user: root  # <- DM0611
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    user: "1000:1000"
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    user: "1000:0"
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            const auto* product = input.wiring.product_of[id];
            if (input.wiring.one_shot[id] || (product != nullptr && product->keeps_root)) continue;
            const auto user = services[id].user.value.substr(0, services[id].user.value.find(':'));
            if (user != "root" && user != "0") continue;
            report.add(services[id].user.where(), id, fmt::format("service '{}' runs explicitly as root", services[id].name));
          }
        },
};

}  // namespace dm::audit::rules

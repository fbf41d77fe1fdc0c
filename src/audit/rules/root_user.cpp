#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule root_user{
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
          std::vector<Location> where;
          std::vector<ServiceId> ids;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (input.wiring.one_shot[id] || (product != nullptr && product->keeps_root)) return;
            const auto user = service.user.value.substr(0, service.user.value.find(':'));
            if (user != "root" && user != "0") return;
            where.push_back(service.user.where());
            ids.push_back(id);
          });
          if (ids.empty()) return;
          auto message = fmt::format("{} {} explicitly as root", quoted_names(input, ids), ids.size() == 1 ? "runs" : "run");
          report.add_all(std::move(where), std::move(ids), std::move(message));
        },
};

}  // namespace dm::audit::rules

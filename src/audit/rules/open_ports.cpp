#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule open_ports{
    .rule = {
        .id = "DM1120",
        .name = "open-ports",
        .severity = Severity::info,
        .area = Area::security,
        .summary = "what this project opens to the network",
        .rationale = "A list to compare with what should be open. Docker's rules come before those of ufw and firewalld: a published port is open whatever they say.",
        .fix = "Bind to 127.0.0.1 what only the edge proxy or the administrator needs.",
        .checks = "102",
        .bad = R"(name: shop  # <- DM1120
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "ports": [{"inside": 443, "outside": 443, "address": "0.0.0.0", "protocol": "tcp"}]}]}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "ports": [{"inside": 80, "outside": 8080, "address": "127.0.0.1", "protocol": "tcp"}]}]}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "ports": [{"inside": 80, "outside": 0, "address": "", "protocol": "tcp"}]}]}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            std::vector<std::string> open;
            for (const auto& container : facts.containers)
              for (const auto& port : container.ports) {
                if (port.outside == 0 || port.address.starts_with("127.") || port.address == "::1") continue;
                auto text = fmt::format("{}/{} ({})", port.outside, port.protocol, container.service);
                if (std::ranges::find(open, text) == open.end()) open.push_back(std::move(text));
              }
            if (!open.empty()) report.add(project_place(input), wiring::kNone, fmt::format("{} open to the network", counted(open.size(), "port")), fmt::format("{}", fmt::join(open, ", ")));
          });
        },
};

}  // namespace dm::audit::rules

#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule published_ports_differ{
    .rule = {
        .id = "DM1011",
        .name = "published-ports-differ",
        .severity = Severity::high,
        .area = Area::security,
        .summary = "published ports that differ from the files",
        .rationale = "What the world can reach is decided by the container as it was created. A port that was bound to loopback in the file afterwards is still open to everybody until the container is recreated.",
        .fix = "Recreate the container: `datamancy up SERVICE`.",
        .checks = "31 102",
        .bad = R"(services:
  app:  # <- DM1011
    image: example/app:1.0
    ports: ["127.0.0.1:8080:80"]
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "ports": [{"inside": 80, "outside": 8080, "address": "0.0.0.0", "protocol": "tcp"}]}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
    ports: ["127.0.0.1:8080:80"]
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "ports": [{"inside": 80, "outside": 8080, "address": "127.0.0.1", "protocol": "tcp"}]}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
    ports: ["8080:80"]
-- facts.json
{"datamancy_facts": 1, "observed": 1000000, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1", "ports": [{"inside": 80, "outside": 8080, "address": "0.0.0.0", "protocol": "tcp"}, {"inside": 80, "outside": 8080, "address": "::", "protocol": "tcp"}]}]}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            if (container.state != "running" || service.network_mode.value == "host") return;
            const auto any = [](std::string_view address) { return address.empty() || address == "0.0.0.0" || address == "::"; };
            std::string surplus;
            for (const auto& open : container.ports) {
              if (open.outside == 0) continue;
              const bool declared = std::ranges::any_of(service.ports, [&](const compose::Port& port) {
                if (port.target != open.inside && port.published.find('-') == std::string_view::npos) return false;
                if (!port.published.empty() && port.published.find('-') == std::string_view::npos && port.published != std::to_string(open.outside)) return false;
                return any(port.host_ip) || port.host_ip == open.address;
              });
              if (!declared) surplus += fmt::format("{}{}:{} -> {}/{}", surplus.empty() ? "" : ", ", open.address, open.outside, open.inside, open.protocol);
            }
            if (!surplus.empty()) report.add(service.where, id, fmt::format("'{}' has ports open that the files do not open", container.name), surplus);
            for (const auto& port : service.ports)
              if (!port.published.empty() && std::ranges::none_of(container.ports, [&](const facts::Port& open) { return open.outside != 0; }))
                return static_cast<void>(report.add(port.where, id, fmt::format("'{}' has no port open, the files publish {}", container.name, port.published)));
          });
        },
};

}  // namespace dm::audit::rules

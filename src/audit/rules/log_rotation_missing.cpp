#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule log_rotation_missing{
    .id = "DM0802",
    .name = "log-rotation-missing",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "services whose logs grow without bound",
    .rationale = "The default json-file driver never rotates: one chatty service fills the disk, and with it every "
                 "database stops. (A daemon-wide default does not show in the files.)",
    .fix = "Add `logging: {driver: json-file, options: {max-size: 10m, max-file: \"3\"}}`, shared by an "
                 "`x-logging` anchor.",
    .checks = "129 O11 O38",
    .bad = R"(services:
  app:  # <- DM0802
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    logging: {driver: journald}
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          blanket(input, report, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id]) return false;  // its log ends with it
            const auto* logging = service.node->find("logging");
            if (logging == nullptr) return true;
            const auto* driver = logging->find("driver");
            if (driver != nullptr && driver->string() != "json-file") return false;
            return logging->at({"options", "max-size"}) == nullptr;
          }, [&](const std::vector<ServiceId>& ids) { return fmt::format("{} logs without rotation: {}", of_all(input, ids.size(), "writes", "write"), join_names(input, ids)); });
        },
};

}  // namespace dm::audit::rules

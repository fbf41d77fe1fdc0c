#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule mount_propagation{
    .id = "DM0628",
    .name = "mount-propagation",
    .severity = Severity::low,
    .area = Area::security,
    .summary = "what the service mounts appears on the host",
    .rationale = "With `shared` propagation a mount made inside the container covers a folder of the host, and "
                 "stays after the container is gone. A service without the right to mount has no use for it; the other direction "
                 "(`slave`) does no harm.",
    .fix = "Use `rslave` where the service must see new mounts of the host, else leave the option out.",
    .checks = "28",
    .bad = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /mnt/media:/media:rshared  # <- DM0628
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /mnt/media:/media:rslave
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - /mnt/shared:/shared
  drive:
    image: example/rclone-mount:1.0
    cap_add: [SYS_ADMIN]
    volumes:
      - /mnt/drive:/drive:rshared
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* volumes = service.node->find("volumes");
            if (volumes == nullptr || !volumes->is_sequence()) return;
            // Who may mount has a finding for that, and FUSE drives need both.
            const auto mounts = [](const auto& capability) { return capability_name(capability.value) == "SYS_ADMIN"; };
            if (service.privileged || std::ranges::any_of(service.cap_add, mounts)) return;
            for (const auto* item : *volumes->items) {
              const auto* value = item->at({"bind", "propagation"});
              if (value == nullptr || (value->string() != "shared" && value->string() != "rshared")) continue;
              report.add(item->where ? item->where : value->where, id,
                         fmt::format("'{}' mounts with {} propagation", service.name, value->string()));
            }
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

bool is_memory(std::string_view device) { return device == "/dev/mem" || device == "/dev/kmem" ||
    device == "/dev/port"; }

bool is_disk(std::string_view device) {
  if (!device.starts_with("/dev/")) return false;
  device.remove_prefix(5);
  for (const std::string_view folder : {"mapper/", "disk/", "nvme", "dm-", "mmcblk"})
    if (device.starts_with(folder)) return true;
  // A letter names the disk: sda, vdb1, xvda. Optical drives (sr0) and generic SCSI (sg0) are no disks.
  for (const std::string_view kind : {"sd", "vd", "xvd", "hd"})
    if (device.starts_with(kind) && device.size() > kind.size() && device[kind.size()] >= 'a' &&
        device[kind.size()] <= 'z') return true;
  return device.size() > 2 && device.starts_with("md") && device[2] >= '0' && device[2] <= '9';
}

}  // namespace

extern constinit const Rule raw_device{
    .id = "DM0627",
    .name = "raw-device",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a disk or the memory of the host is handed in as a device",
    .rationale = "Whoever reads a raw disk reads every file of the host, whatever its permissions; whoever writes "
                 "it or the "
                 "memory is root.",
    .fix = "Mount the file system instead of its device; for S.M.A.R.T. values pass the device with `:r`.",
    .checks = "27",
    .bad = R"(services:
  app:
    image: example/app:1.0
    devices:
      - /dev/sda:/dev/sda  # <- DM0627
      - /dev/mem  # <- DM0627
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    devices:
      - /dev/sda:/dev/sda:r
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    devices:
      - /dev/dri:/dev/dri
      - /dev/ttyUSB0:/dev/ttyUSB0
      - /dev/sr0:/dev/sr0
      - /dev/net/tun
      - /dev/kvm
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* devices = service.node->find("devices");
            if (devices == nullptr || !devices->is_sequence()) return;
            for (const auto* item : *devices->items) {
              const auto* source = item->find("source");
              if (source == nullptr) continue;
              const auto* rights = item->find("permissions");
              if (is_memory(source->text)) {
                auto message = fmt::format("'{}' has {}: as good as root on the host", service.name, source->text);
                report.add(item->where ? item->where : source->where, id, std::move(message)).severity = Severity::critical;
              } else if (is_disk(source->text) && (rights == nullptr || rights->string() != "r")) {
                report.add(item->where ? item->where : source->where, id,
                           fmt::format("'{}' may write the raw disk {}", service.name, source->text));
              }
            }
          });
        },
};

}  // namespace dm::audit::rules

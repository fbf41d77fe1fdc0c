#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule tmpfs_weakened{
    .id = "DM0631",
    .name = "tmpfs-weakened",
    .severity = Severity::low,
    .area = Area::security,
    .summary = "a tmpfs from which programs may run",
    .rationale = "A tmpfs is mounted noexec, nosuid and nodev by default; without these a break-in has a place to put "
                 "its program and to gain rights.",
    .fix = "Leave `exec`, `suid` and `dev` out unless the service is known to need them.",
    .checks = "29",
    .bad = R"(services:
  app:
    image: example/app:1.0
    tmpfs:
      - /tmp:exec,size=64m  # <- DM0631
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    tmpfs:
      - /tmp:size=64m
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    tmpfs:
      - /tmp:noexec,nosuid,size=64m
      - /run:exec
      - /exec
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> ids;
          std::string what;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* list = service.node->find("tmpfs");
            if (list == nullptr) return;
            const auto look = [&](const compose::Value& item) {
              const std::string_view text = item.string();
              for (auto at = text.find(':'); at != std::string_view::npos;) {
                const auto end = std::min(text.find(',', at + 1), text.size());
                const auto option = text.substr(at + 1, end - at - 1);
                // s6-overlay, the init of many images, runs its scripts from /run.
                if ((option == "exec" && !text.starts_with("/run:")) || option == "suid" || option == "dev") {
                  where.push_back(item.where);
                  ids.push_back(id);
                  if (ids.size() <= 6) what += fmt::format("{}'{}' mounts {} with {}", what.empty() ? "" : ", ", service.name, text.substr(0, text.find(':')), option);
                  return;
                }
                at = end < text.size() ? end : std::string_view::npos;
              }
            };
            if (list->is_string()) look(*list);
            if (list->is_sequence())
              for (const auto* item : *list->items) look(*item);
          });
          if (!ids.empty()) report.add_all(std::move(where), std::move(ids), std::move(what));
        },
};

}  // namespace dm::audit::rules

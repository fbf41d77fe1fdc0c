#include <fmt/format.h>

#include <algorithm>
#include <set>
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule declared_unused{
    .id = "DM0113",
    .name = "declared-unused",
    .severity = Severity::low,
    .area = Area::architecture,
    .summary = "volumes, networks, secrets or configs that no service uses",
    .rationale = "Either a mount was forgotten, or what is left over makes the next reader believe that something "
                 "is stored there.",
    .fix = "Use it where it was meant to be used, or delete it.",
    .checks = "133",
    .bad = R"(services:
  app:
    image: example/app:1
volumes:
  data:  # <- DM0113
)",
    .good = R"(services:
  app:
    image: example/app:1
    volumes: ["data:/data"]
volumes:
  data:
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    volumes: ["data:/data"]
    build:
      context: .
      secrets: [token]
volumes:
  data:
networks:
  default: {name: club}
secrets:
  token: {environment: TOKEN}
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          std::set<std::string_view> used;  // keys of all kinds: a name used anywhere is no leftover
          each_service(input, [&](ServiceId, const compose::Service& service) {
            for (const auto& mount : service.mounts) used.insert(mount.source);
            for (const auto& use : service.networks) used.insert(use.network);
            for (const auto& use : service.secrets) used.insert(use.source);
            for (const auto& use : service.configs) used.insert(use.source);
            if (service.build == nullptr) return;
            for (const auto key : {"secrets", "network"}) {
              const auto* list = service.build->find(key);
              if (list == nullptr) continue;
              if (list->is_string()) used.insert(list->text);
              if (!list->is_sequence()) continue;
              for (const auto* item : *list->items) {
                if (item->is_string()) used.insert(item->text);
                else if (const auto* source = item->find("source"); source != nullptr) used.insert(source->string());
              }
            }
          });
          const auto check = [&](const auto& list, std::string_view kind) {
            for (const auto& entry : list)
              if (entry.where && !entry.external && entry.key != "default" && !used.contains(entry.key))
                report.add(entry.where, wiring::kNone, fmt::format("{} '{}' is declared and used by no service", kind, entry.key));
          };
          check(input.project.volumes, "volume");
          check(input.project.networks, "network");
          check(input.project.secrets, "secret");
          check(input.project.configs, "config");
        },
};

}  // namespace dm::audit::rules

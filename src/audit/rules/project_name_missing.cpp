#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule project_name_missing{
    .id = "DM0121",
    .name = "project-name-missing",
    .severity = Severity::info,
    .area = Area::operations,
    .summary = "the names of volumes depend on the name of the folder",
    .rationale = "Without `name:` Compose calls the project after its folder: moved, cloned under another name or "
                 "started with another `-p`, it gets new, empty volumes, and the old data seem lost.",
    .fix = "Write `name:` at the top of the compose file (the name that the project has now).",
    .checks = "73",
    .bad = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes:
  pg:  # <- DM0121
)",
    .good = R"(name: shop
services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes:
  pg:
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes:
  pg: {name: shop-pg}
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          const auto chosen = input.project.environment.find("COMPOSE_PROJECT_NAME");  // Compose sets it itself: only a written one counts
          if (chosen != input.project.environment.end() && chosen->second.where) return;
          for (const auto& path : input.project.compose_files) {
            const auto file = input.project.texts.find(path);
            if (file == sources::kNoFile) continue;
            const auto& text = input.project.texts.at(file).content;
            if (text.starts_with("name:") || text.find("\nname:") != std::string::npos) return;
          }
          std::vector<Location> where;
          std::string names;
          for (const auto& volume : input.project.volumes) {
            if (!volume.where || volume.external || volume.name != fmt::format("{}_{}", input.project.name, volume.key)) continue;
            where.push_back(volume.where);
            if (where.size() <= 6) names += fmt::format("{}{}", names.empty() ? "" : ", ", volume.key);
          }
          if (where.empty()) return;
          if (where.size() > 6) names += fmt::format(" and {} more", where.size() - 6);
          report.add_all(std::move(where), {}, fmt::format("{} would be new and empty after the folder is renamed", names));
        },
};

}  // namespace dm::audit::rules

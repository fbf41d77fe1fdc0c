#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule bind_source_missing{
    .id = "DM0104",
    .name = "bind-source-missing",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a mounted file of the project does not exist",
    .rationale = "Docker makes a folder where the source of a bind mount is missing. The service then finds a "
                 "folder where it expects its configuration, and fails or runs with its defaults.",
    .fix = "Create the file, or commit it; write the long form with `create_host_path: false` so that a "
                 "missing source is an error.",
    .checks = "115",
    .bad = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - ./app.yaml:/etc/app.yaml:ro  # <- DM0104
  db:
    image: postgres:17
    volumes:
      - ./init:/docker-entrypoint-initdb.d:ro  # <- DM0104
      - pg:/var/lib/postgresql/data
volumes: {pg: }
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - ./app.yaml:/etc/app.yaml:ro
-- app.yaml
debug: false
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    volumes:
      - ./data:/var/lib/app
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> ids;
          std::vector<std::string> files, hints;
          for (const auto& use : input.wiring.mounts) {
            if (!use.in_project || use.mount->type != compose::Mount::Type::bind) continue;
            const auto& name = input.wiring.service(use.service).name;
            if (use.source.kind == sources::Kind::missing && use.mount->target == "/docker-entrypoint-initdb.d") {
              const auto folder = std::string(sources::relative_to(use.host_path, input.project.folder));
              report.add(use.mount->where, use.service, fmt::format("'{}' runs the scripts of {} on its first start, but there is no such folder: its databases and users will not be made", name, folder), "",
                         fmt::format("put the scripts into {}, or mount where they are", folder));
            } else if (use.source.kind == sources::Kind::missing && use.looks_like_file) {
              where.push_back(use.mount->where);
              ids.push_back(use.service);
              files.emplace_back(sources::relative_to(use.host_path, input.project.folder));
              const auto example = example_of(input, use.host_path);
              hints.push_back(example.empty() ? "" : fmt::format("copy {} to {} and fill it in", example, files.back()));
            } else if (use.source.kind == sources::Kind::directory && use.looks_like_file && sources::file_name(use.host_path) == sources::file_name(use.mount->target))
              report.add(use.mount->where, use.service,
                         fmt::format("'{}' mounts the folder {} where it expects a file", name, sources::relative_to(use.host_path, input.project.folder)));
          }
          constexpr std::size_t kMostSingle = 3;
          if (files.size() <= kMostSingle) {
            for (std::size_t i = 0; i < files.size(); ++i)
              report.add(where[i], ids[i], fmt::format("'{}' mounts {} but there is no such file: Docker will make a folder of it", input.wiring.service(ids[i]).name, files[i]),
                         "", hints[i]);
            return;
          }
          // One cause for many: a checkout without its configuration, or one that is generated before the start.
          std::set<std::string> different(files.begin(), files.end());
          auto names = fmt::format("{}", fmt::join(different.begin(), std::next(different.begin(), static_cast<std::ptrdiff_t>(std::min<std::size_t>(6, different.size()))), ", "));
          if (different.size() > 6) names += fmt::format(" and {} more", different.size() - 6);
          std::set<ServiceId> affected(ids.begin(), ids.end());
          report.add_all(std::move(where), {affected.begin(), affected.end()},
                         fmt::format("{} mounted files do not exist: Docker will make folders of them", different.size()), names,
                         "create or commit them, or run what generates them before the start; with `create_host_path: false` a missing one is an error");
        },
};

}  // namespace dm::audit::rules

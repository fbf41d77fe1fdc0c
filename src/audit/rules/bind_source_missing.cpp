#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule bind_source_missing{
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
          for (const auto& use : input.wiring.mounts) {
            if (!use.in_project || use.mount->type != compose::Mount::Type::bind) continue;
            const auto& name = input.wiring.service(use.service).name;
            if (use.source.kind == sources::Kind::missing && use.looks_like_file)
              report.add(use.mount->where, use.service,
                         fmt::format("'{}' mounts {} but there is no such file: Docker will make a folder of it", name,
                                     sources::relative_to(use.host_path, input.project.folder)));
            else if (use.source.kind == sources::Kind::directory && use.looks_like_file && sources::file_name(use.host_path) == sources::file_name(use.mount->target))
              report.add(use.mount->where, use.service,
                         fmt::format("'{}' mounts the folder {} where it expects a file", name, sources::relative_to(use.host_path, input.project.folder)));
          }
        },
};

}  // namespace dm::audit::rules

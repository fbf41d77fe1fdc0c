#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "sources/git.hpp"

namespace dm::audit::rules {

extern constinit const Rule env_file_missing{
    .id = "DM0106",
    .name = "env-file-missing",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "an env file that services name is not here",
    .rationale = "Compose refuses the whole project while a file under `env_file:` is missing. Where an example lies beside it, or "
                 "git ignores it, each machine makes its own: then it is a step of the installation, and no mistake of the project.",
    .fix = "Create it; commit an example of it (`.env.example`) that says what it needs; write `required: false` where the service "
           "can do without.",
    .checks = "117 O31",
    .bad = R"(services:
  app:
    image: example/app:1.0
    env_file: [app.env]  # <- DM0106
  worker:
    image: example/app:1.0
    env_file: [app.env]
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    env_file: [app.env]
  worker:
    image: example/app:1.0
    env_file: [app.env]
-- app.env
SITE=example.org
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    env_file:
      - {path: app.env, required: false}
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          for (auto& missing : missing_env_files(input)) {
            const auto name = std::string(sources::relative_to(missing.path, input.project.folder));
            const auto example = example_of(input, missing.path);
            const auto root = sources::git_root(input.files, missing.path);
            const bool ignored = !root.empty() && sources::git_ignores(input.files, root, missing.path);
            const auto users = join_names(input, missing.services);
            auto& finding = report.add_all(std::move(missing.where), std::move(missing.services),
                                           fmt::format("{} is not here, and Compose starts nothing without it", name), fmt::format("named by {}", users));
            if (!example.empty()) {
              finding.severity = Severity::low;
              finding.message = fmt::format("{} is still to be made from {}", name, example);
              finding.hint = fmt::format("copy {} to {} and fill it in", example, name);
            } else if (ignored) {
              finding.severity = Severity::medium;
              finding.evidence += "; git ignores it, and no example says what belongs in it";
            }
          }
        },
};

}  // namespace dm::audit::rules

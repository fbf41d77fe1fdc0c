#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "formats/dotenv.hpp"
#include "sensitive/sensitive.hpp"
#include "sources/git.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// The first variable with a secret's name and a value of its own.
Location first_secret(sources::FileId file, std::string_view text) {
  for (const auto& entry : formats::parse_dotenv_raw(text).entries)
    if (!entry.value.empty() && !entry.inherits && sensitive::secret_name(entry.key) && !sensitive::looks_hashed(entry.value) && !sensitive::looks_sealed(entry.value))
      return {file, entry.key_span};
  return {};
}

}  // namespace

extern constinit const Rule env_file_in_git{
    .id = "DM0511",
    .name = "env-file-in-git",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a file with secrets can get into git, or is there already",
    .rationale = "What was committed once stays in the history of every clone. A file that no .gitignore names is "
                 "one `git add .` away from it.",
    .fix = "Add its name to .gitignore. If it is committed: `git rm --cached FILE`, and change every secret "
           "in it, since the history keeps them.",
    .checks = "51 O3",
    .bad = R"(services:
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
-- .git/HEAD
ref: refs/heads/main
-- .gitignore
*.log
-- .env
SITE=example.org
DB_PASSWORD=sunflower  # <- DM0511
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
-- .git/HEAD
ref: refs/heads/main
-- .gitignore
*.log
.env
-- .env
DB_PASSWORD=sunflower
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}"}
    env_file: [app.env]
-- .git/HEAD
ref: refs/heads/main
-- app.env
SITE=example.org
API_TOKEN_FILE=/run/secrets/token
ADMIN_PASSWORD=
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          std::set<std::string> paths(input.project.dotenv_files.begin(), input.project.dotenv_files.end());
          each_service(input, [&](ServiceId, const compose::Service& service) {
            for (const auto& file : service.env_files) paths.emplace(file.value);
          });
          std::string indexed_root;
          std::vector<std::string> tracked;
          for (const auto& path : paths) {
            const auto file = input.project.texts.find(path);
            if (file == sources::kNoFile) continue;
            const auto where = first_secret(file, input.project.texts.at(file).content);
            if (!where) continue;
            const auto root = sources::git_root(input.files, path);
            if (root.empty()) continue;
            if (root != indexed_root) {
              indexed_root = root;
              tracked.clear();
              if (const auto bytes = input.files.read(root + "/.git/index"))
                if (auto names = sources::git_index_paths(*bytes)) tracked = *std::move(names);
            }
            const auto name = sources::relative_to(path, root);
            if (std::ranges::find(tracked, name) != tracked.end()) {
              auto& finding = report.add(where, wiring::kNone, fmt::format("{} holds secrets and is committed to git", name));
              finding.severity = Severity::critical;
            } else if (!sources::git_ignores(input.files, root, path)) {
              report.add(where, wiring::kNone, fmt::format("{} holds secrets, and no .gitignore keeps it out of git", name));
            }
          }
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/rules/helpers.hpp"
#include "sources/git.hpp"

namespace dm::audit::rules {
namespace {

/// Keys, certificates and secrets are each machine's own, and do not belong into git.
bool own_to_machine(std::string_view path) {
  for (const std::string_view part : {"secret", "cert", ".key", ".pem", ".crt", "token", ".env", "password", "htpasswd", "acme.json", "credential"})
    if (path.find(part) != std::string_view::npos) return true;
  return false;
}

/// A template of the same name is committed somewhere beside: `configs.templates/edge.conf` for `configs/edge.conf`.
bool generated(const Input& input, const std::string& path) {
  const auto name = std::string(sources::file_name(path));
  const auto folder = sources::parent_path(path);
  for (const auto& twin : {folder + ".templates/" + name, folder + ".template/" + name, folder + "/templates/" + name, path + ".tpl", path + ".j2", path + ".tmpl"})
    if (input.files.stat(twin).kind == sources::Kind::regular) return true;
  return false;
}

}  // namespace

extern constinit const Rule mount_ignored_by_git{
    .id = "DM0114",
    .name = "mount-ignored-by-git",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "configuration that is mounted, but that git ignores",
    .rationale = "The project works where it was written and fails on the next machine: a fresh clone lacks the file, "
                 "Docker makes an empty folder in its place, and the service starts with no configuration or not at "
                 "all.",
    .fix = "Commit it (without secrets), commit an example of it, or generate it from a template that is "
           "committed.",
    .checks = "117 O20",
    .bad = R"(services:
  edge:
    image: example/edge:1
    volumes:
      - ./configs/edge.conf:/etc/edge.conf:ro  # <- DM0114
-- .git/HEAD
ref: refs/heads/main
-- .gitignore
configs/
-- configs/edge.conf
listen 80
)",
    .good = R"(services:
  edge:
    image: example/edge:1
    volumes:
      - ./configs/edge.conf:/etc/edge.conf:ro
-- .git/HEAD
ref: refs/heads/main
-- .gitignore
data/
-- configs/edge.conf
listen 80
)",
    .look_alike = R"(services:
  edge:
    image: example/edge:1
    volumes:
      - ./configs/edge.conf:/etc/edge.conf:ro
      - ./data:/var/lib/edge
      - ./certs/site.key:/certs/site.key:ro
-- .git/HEAD
ref: refs/heads/main
-- .gitignore
configs/edge.conf
data/
certs/
-- configs/edge.conf
listen 80
-- configs/edge.conf.example
listen 80
-- data/x
1
-- certs/site.key
1
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> ids;
          std::string names;
          std::set<std::string_view> seen;
          for (const auto& use : input.wiring.mounts) {
            if (!use.in_project || use.mount->type != compose::Mount::Type::bind || use.host_path == input.project.folder) continue;
            const bool folder = use.source.kind == sources::Kind::directory && use.mount->read_only && use.mount->target.starts_with("/etc/");
            if (!(use.source.kind == sources::Kind::regular && use.looks_like_file) && !folder) continue;
            if (own_to_machine(use.host_path) || generated(input, use.host_path)) continue;
            const auto root = sources::git_root(input.files, use.host_path);
            if (root.empty() || !sources::git_ignores(input.files, root, use.host_path) || !example_of(input, use.host_path).empty()) continue;
            where.push_back(use.mount->where);
            if (std::ranges::find(ids, use.service) == ids.end()) ids.push_back(use.service);
            if (seen.insert(use.host_path).second && seen.size() <= 6) names += fmt::format("{}{}", names.empty() ? "" : ", ", sources::relative_to(use.host_path, input.project.folder));
          }
          if (where.empty()) return;
          if (seen.size() > 6) names += fmt::format(" and {} more", seen.size() - 6);
          report.add_all(std::move(where), std::move(ids), fmt::format("a fresh clone lacks {}: git ignores what the services mount", names));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule secret_file_missing{
    .id = "DM0118",
    .name = "secret-file-missing",
    .severity = Severity::low,
    .area = Area::architecture,
    .summary = "a file that `secrets:`, `configs:` or a seccomp option names is not here",
    .rationale = "Compose mounts such a file and, other than for a folder of `volumes:`, makes none: `bind source path does not exist`, and the service is "
                 "not created. A secret is rightly not in the repository, and has to be made before the first start; a configuration ought to be there. "
                 "The seccomp profile is a file too: only `unconfined` and `builtin` are names, `seccomp:default` asks for a file called default.",
    .fix = "Make the file before the start, or correct its path. For Docker's own seccomp profile leave the option out.",
    .checks = "115 O31",
    .bad = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pg}
    secrets: [pg]
    configs: [tuning]
    volumes: ["pg:/var/lib/postgresql/data"]
    security_opt:
      - no-new-privileges:true
      - seccomp:default  # <- DM0118
volumes: {pg: }
secrets:
  pg:  # <- DM0118
    file: ./secrets/pg.txt
configs:
  tuning:  # <- DM0118
    file: ./tuning.conf
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pg}
    secrets: [pg]
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
secrets:
  pg:
    file: ./secrets/pg.txt
-- secrets/pg.txt
sunflower
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pg}
    secrets: [pg, token]
    volumes: ["pg:/var/lib/postgresql/data"]
    security_opt: ["seccomp=profiles/db.json", "seccomp:unconfined", "seccomp:/etc/docker/db.json", "apparmor:docker-default"]
  job:
    image: example/job:1
    security_opt: ["seccomp:builtin"]
volumes: {pg: }
secrets:
  pg: {file: /run/datamancy/shop/pg}
  token: {environment: TOKEN}
  unused: {file: ./unused.txt}
  elsewhere: {external: true}
-- profiles/db.json
{"defaultAction": "SCMP_ACT_ERRNO"}
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          const auto look = [&](const std::vector<compose::Resource>& list, std::string_view kind, Severity severity, const auto& uses_of) {
            std::map<std::string_view, std::vector<ServiceId>> users;
            each_service(input, [&](ServiceId id, const compose::Service& service) {
              for (const auto& use : uses_of(service))
                if (auto& ids = users[use.source]; ids.empty() || ids.back() != id) ids.push_back(id);
            });
            for (const auto& one : list) {
              const std::string path(one.file);
              // What lies outside of the project is made on the machine that runs it.
              if (path.empty() || one.external || sources::relative_to(path, input.project.folder).starts_with('/')) continue;
              if (input.files.stat(path).kind != sources::Kind::missing) continue;
              if (&list == &input.project.secrets && input.files.stat(path + ".enc").kind == sources::Kind::regular) continue;  // sealed: `up` delivers it
              auto services = users[one.key];
              if (services.empty()) continue;
              auto message = fmt::format("{} '{}' is read from {}, which is not here: {} will not be created", kind, one.key,
                                         sources::relative_to(path, input.project.folder), quoted_names(input, services));
              report.add_all({one.where}, std::move(services), std::move(message)).severity = severity;
            }
          };
          look(input.project.secrets, "the secret", Severity::low, [](const compose::Service& service) -> const auto& { return service.secrets; });
          look(input.project.configs, "the config", Severity::high, [](const compose::Service& service) -> const auto& { return service.configs; });
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& option : service.security_opt) {
              const std::string_view text = option.value;
              if (!text.starts_with("seccomp:") && !text.starts_with("seccomp=")) continue;
              const auto profile = text.substr(8);
              if (profile.empty() || profile == "unconfined" || profile == "builtin" || profile.starts_with('/') || profile.starts_with('~')) continue;
              if (input.files.stat((std::filesystem::path(input.project.folder) / profile).lexically_normal().string()).kind != sources::Kind::missing) continue;
              auto message = fmt::format("the seccomp profile of '{}' is read from the file {}, which is not here: the container will not be created", service.name, profile);
              report.add(option.where(), id, std::move(message)).severity = Severity::high;
            }
          });
        },
};

}  // namespace dm::audit::rules

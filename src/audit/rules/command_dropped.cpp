#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

constexpr std::uint64_t kLargestScript = 1U << 20U;

/// The script of the project that stands at this path in the container, by a bind mount or by its name in the build's folder; "" for none.
std::string script_path(const Input& input, const compose::Service& service, std::string_view program) {
  if (const auto* mount = mount_of(service, program); mount != nullptr && mount->type == compose::Mount::Type::bind) return std::string(mount->source) + std::string(program.substr(mount->target.size()));
  if (service.build == nullptr) return {};
  const auto* context = service.build->find("context");
  if (context == nullptr || !context->string().starts_with('/')) return {};
  for (const std::string_view folder : {"", "docker/", "scripts/", "bin/"}) {
    auto path = sources::clean_path(std::string(folder) + std::string(sources::file_name(program)), context->string());
    if (input.files.stat(path).kind == sources::Kind::regular) return path;
  }
  return {};
}

/// The script ends by becoming what it was given (`exec "$@"`), and does nothing else with it. The place of that line.
std::optional<text::Span> becomes_arguments(std::string_view content) {
  constexpr std::string_view kAll = "\"$@\"";
  const auto at = content.rfind(kAll);
  if (at == std::string_view::npos || content.find(kAll) != at) return std::nullopt;  // used elsewhere too: tells cases apart
  for (const std::string_view use : {"set --", "$#", "$1", "${1", "$*", "${@", "$0"})
    if (content.find(use) != std::string_view::npos) return std::nullopt;
  const auto begin = content.rfind('\n', at) + 1;
  const auto line = content.substr(begin, at - begin);
  if (!line.starts_with("exec ") || line.find("-c") != std::string_view::npos) return std::nullopt;
  // `exec gosu app "$@"` is one too, `exec app "$@"` is not: it starts the program without arguments.
  const auto program = line.substr(5, line.find(' ', 5) - 5);
  const bool alone = line.find_first_not_of(' ', 5) == std::string_view::npos;
  static constexpr std::string_view kGoOn[] = {"gosu", "su-exec", "tini", "dumb-init", "env", "nice"};
  if (!alone && std::ranges::find(kGoOn, program) == std::end(kGoOn)) return std::nullopt;
  auto rest = content.substr(at + kAll.size());
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto next = rest.substr(0, end);
    const auto first = next.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && next[first] != '#') return std::nullopt;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return text::Span{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at + kAll.size())};
}

}  // namespace

extern constinit const Rule command_dropped{
    .id = "DM0123",
    .name = "command-dropped",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "an entrypoint waits for a command that Compose has dropped",
    // docker/compose issue 3140, and the reference of `entrypoint`
    .rationale = "Where `entrypoint:` is set, Compose ignores the image's CMD: an entrypoint that runs what it is given has "
                 "nothing to run, and the container ends at once (with status 0, or restarts for ever).",
    .fix = "Write the image's CMD as `command:` beside the `entrypoint:`.",
    .checks = "O31",
    .bad = R"(services:
  app:
    image: example/app:1.0
    entrypoint: ["/wait.sh"]  # <- DM0123
    volumes: ["./wait.sh:/wait.sh:ro"]
  web:
    image: example/web:1.0
    entrypoint: ["/wait-for-it.sh", "db:5432", "--"]  # <- DM0123
  api:
    build: ./api
    entrypoint: sh /app/entrypoint.sh  # <- DM0123
  proxy:
    image: nginx:1.27
    entrypoint: /docker-entrypoint.sh  # <- DM0123
-- wait.sh 0755
#!/bin/sh
until nc -z db 5432; do sleep 1; done
exec "$@"
-- api/entrypoint.sh 0755
#!/bin/sh
set -e
python manage.py migrate
exec gosu app "$@"
-- api/Dockerfile
FROM python:3.13
COPY entrypoint.sh /app/entrypoint.sh
CMD ["gunicorn", "app"]
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    entrypoint: ["/wait.sh"]
    command: ["app", "--serve"]
    volumes: ["./wait.sh:/wait.sh:ro"]
  web:
    image: example/web:1.0
    entrypoint: ["/wait-for-it.sh", "db:5432", "--"]
    command: ["web"]
-- wait.sh 0755
#!/bin/sh
until nc -z db 5432; do sleep 1; done
exec "$@"
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    entrypoint: ["/start.sh"]
    volumes: ["./start.sh:/start.sh:ro"]
  given:
    image: example/app:1.0
    entrypoint: ["/wait.sh", "app"]
    volumes: ["./wait.sh:/wait.sh:ro"]
  default:
    image: example/app:1.0
    entrypoint: ["/default.sh"]
    volumes: ["./default.sh:/default.sh:ro"]
  reset:
    image: nginx:1.27
    entrypoint: []
-- start.sh 0755
#!/bin/sh
exec app "$@"
-- wait.sh 0755
#!/bin/sh
exec "$@"
-- default.sh 0755
#!/bin/sh
[ $# -gt 0 ] || set -- app
exec "$@"
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (service.entrypoint.empty() || !service.command.empty()) return;
            const auto& words = service.entrypoint;
            const auto tell = [&](std::string message, std::string evidence) {
              auto where = words.front().where() ? words.front().where() : place(service, "entrypoint");
              report.add(where, id, std::move(message), std::move(evidence));
            };
            if (words.size() > 1 && words.back().value == "--") {
              tell(fmt::format("the entrypoint of '{}' ends in '--' and there is no command: Compose drops the image's CMD", service.name), "");
              return;
            }
            std::size_t first = 0;
            if (const auto shell = sources::file_name(words[0].value); words.size() == 2 && (shell == "sh" || shell == "bash")) first = 1;
            if (words.size() != first + 1) return;
            const auto program = words[first].value;
            if (const auto path = script_path(input, service, program); !path.empty()) {
              const auto file = input.texts_owner.texts.open(path, kLargestScript);
              if (!file) return;
              const auto line = becomes_arguments(input.project.texts.at(*file).content);
              if (!line) return;
              tell(fmt::format("the entrypoint of '{}' has no command to run: Compose drops the image's CMD", service.name),
                   fmt::format("{} ends in {}", input.project.texts.describe({*file, *line}, input.project.folder),
                               input.project.texts.at(*file).content.substr(line->begin, line->end - line->begin)));
              return;
            }
            // The images of the Docker library end theirs so too.
            const auto* product = input.wiring.product_of[id];
            if (service.build == nullptr && product != nullptr && sources::file_name(program) == "docker-entrypoint.sh" && first == 0 &&
                product::split_image(service.image.value).repository.find('/') == std::string_view::npos)
              tell(fmt::format("the entrypoint of '{}' has no command to run: Compose drops the image's CMD", service.name),
                   fmt::format("docker-entrypoint.sh of {} runs what it is given", product->name));
          });
        },
};

}  // namespace dm::audit::rules

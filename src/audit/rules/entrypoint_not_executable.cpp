#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/dockerfiles.hpp"
#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

constexpr std::uint64_t kLargestScript = 1U << 20U;

/// Why the kernel will not run the file, or "".
std::string refusal(const Input& input, const std::string& path, bool& script) {
  const auto stat = input.files.stat(path);
  if (stat.kind != sources::Kind::regular) return {};
  std::string_view first;
  if (stat.size <= kLargestScript)
    if (const auto file = input.texts_owner.texts.open(path); file) first = input.texts_owner.texts.at(*file).content;
  first = first.substr(0, first.find('\n'));
  script = path.ends_with(".sh") || first.starts_with("#!");
  const auto name = sources::relative_to(path, input.project.folder);
  if ((stat.mode & 0111U) == 0) return fmt::format("{} has mode {:04o}: permission denied, for root too", name, stat.mode);
  if (first.starts_with("#!") && first.ends_with('\r')) return fmt::format("{} has Windows line ends: the kernel looks for an interpreter whose name ends in CR", name);
  if (path.ends_with(".sh") && !first.empty() && !first.starts_with("#!") && !first.starts_with("\x7f" "ELF"))
    return fmt::format("{} does not begin with #!: exec format error", name);
  return {};
}

struct BuiltEntrypoint {
  std::string program;  ///< absolute; "" = none, or not one by its path
  std::string folder = "/";
  text::Span where;
};

/// `ENTRYPOINT ["/app/run.sh"]` of the stage that is built ("" = the last one).
BuiltEntrypoint built_entrypoint(std::string_view text, std::string_view target) {
  std::map<std::string, BuiltEntrypoint, std::less<>> stages;
  BuiltEntrypoint now;
  std::string name;
  for (const auto& line : dockerfile_lines(text)) {
    const auto parts = words(line.rest);
    if (line.instruction == "FROM") {
      if (!name.empty()) stages[name] = now;
      if (!name.empty() && name == target) return now;
      const auto image = std::ranges::find_if(parts, [](const auto& word) { return !word.text.starts_with("--"); });
      const auto base = image == parts.end() ? stages.end() : stages.find(image->text);
      now = base == stages.end() ? BuiltEntrypoint{} : base->second;
      name = image != parts.end() && parts.end() - image > 2 ? (image + 2)->text : std::string();
    } else if (line.instruction == "WORKDIR" && !parts.empty()) {
      now.folder = sources::clean_path(parts.front().text, now.folder);
    } else if (line.instruction == "ENTRYPOINT") {
      now.program.clear();
      const auto list = line.rest.find_first_not_of(" \t"), open = line.rest.find_first_not_of(" \t[");
      if (open == std::string::npos || line.rest[list] != '[' || line.rest[open] != '"') continue;  // the shell form may be any command
      const auto program = std::string_view(line.rest).substr(open + 1, line.rest.find('"', open + 1) - open - 1);
      if (program.find('/') == std::string_view::npos || program.find('$') != std::string_view::npos) continue;  // looked up in PATH
      now.program = sources::clean_path(program, now.folder);
      now.where = {static_cast<std::uint32_t>(line.begin), static_cast<std::uint32_t>(line.begin + line.instruction.size())};
    }
  }
  return target.empty() || name == target ? now : BuiltEntrypoint{};
}

}  // namespace

extern constinit const Rule entrypoint_not_executable{
    .id = "DM0105",
    .name = "entrypoint-not-executable",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "the program that a container starts with cannot be executed",
    .rationale = "A script mounted from the project keeps its mode bits. Without the executable bit, without a first line `#!`, or "
                 "with Windows line ends, the container dies at once with `permission denied`, `exec format error` or `no such "
                 "file or directory`.",
    .fix = "`chmod +x FILE && git update-index --chmod=+x FILE`, or name the interpreter: `entrypoint: [\"sh\", \"/run.sh\"]`.",
    .checks = "116 O7",
    .bad = R"(services:
  app:
    image: example/app:1.0
    entrypoint: ["/scripts/run.sh", "--serve"]  # <- DM0105
    volumes:
      - ./scripts:/scripts:ro
  web:
    build: ./web
    volumes: ["./web:/usr/src/app"]
-- scripts/run.sh 0644
#!/bin/sh
exec app "$@"
-- web/Dockerfile
FROM python:3.13
WORKDIR /usr/src/app
COPY . .
RUN chmod +x entrypoint.sh
ENTRYPOINT ["/usr/src/app/entrypoint.sh"]  # <- DM0105
-- web/entrypoint.sh 0644
#!/bin/sh
exec "$@"
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    entrypoint: ["/scripts/run.sh", "--serve"]
    volumes:
      - ./scripts:/scripts:ro
-- scripts/run.sh 0755
#!/bin/sh
exec app "$@"
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    entrypoint: ["sh", "/scripts/run.sh"]
    volumes:
      - ./scripts:/scripts:ro
  db:
    image: postgres:17
    volumes:
      - ./scripts/init.sh:/docker-entrypoint-initdb.d/init.sh:ro
  web:
    build: {context: ./web, target: production}
    volumes: ["./web/static:/usr/src/app/static"]
  dev:
    build: ./dev
    entrypoint: ["sh", "./entrypoint.sh"]
    volumes: ["./dev:/app"]
-- web/Dockerfile
FROM python:3.13 AS production
ENTRYPOINT ["/usr/src/app/entrypoint.sh"]
FROM production AS test
ENTRYPOINT ["/usr/src/app/static/test.sh"]
-- web/entrypoint.sh 0644
#!/bin/sh
-- web/static/test.sh 0644
#!/bin/sh
-- dev/Dockerfile
FROM python:3.13
WORKDIR /app
ENTRYPOINT ["./entrypoint.sh"]
-- dev/entrypoint.sh 0644
#!/bin/sh
-- scripts/run.sh 0644
exec app "$@"
-- scripts/init.sh 0644
psql -c "select 1"
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          const auto mounted = [&](const compose::Service& service, std::string_view program) -> std::string {
            if (!program.starts_with('/')) return {};
            const auto* mount = mount_of(service, program);
            if (mount == nullptr || mount->type != compose::Mount::Type::bind) return {};
            auto path = std::string(mount->source) + std::string(program.substr(mount->target.size()));
            return path.starts_with(input.project.folder + "/") ? path : std::string();
          };
          for (const auto& file : dockerfiles(input)) {
            const auto& service = input.project.services[file.service];
            if (service.entrypoint_node != nullptr) continue;
            const auto* target = service.build->find("target");
            const auto built = built_entrypoint(input.project.texts.at(file.file).content, target == nullptr ? std::string_view() : target->string());
            const auto path = mounted(service, built.program);
            bool script = false;
            auto why = path.empty() ? std::string() : refusal(input, path, script);
            if (why.empty()) continue;
            report.add({file.file, built.where}, file.service,
                       fmt::format("entrypoint of '{}' is {}, which cannot be executed: the mount hides the image's own", service.name, built.program), std::move(why));
          }
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto look = [&](const compose::Text& program, std::string_view what, bool surely_executed) {
              const auto path = mounted(service, program.value);
              if (path.empty()) return;
              bool script = false;
              auto why = refusal(input, path, script);
              if (why.empty() || (!surely_executed && !script)) return;
              auto& finding = report.add(program.where() ? program.where() : place(service, what), id,
                                         fmt::format("{} of '{}' is {}, which cannot be executed", what, service.name, program.value), std::move(why));
              // The image's own entrypoint is unknown here: it may hand the file to an interpreter; a healthcheck stops nothing.
              if (!surely_executed || what == "healthcheck") finding.severity = Severity::high;
            };
            if (!service.entrypoint.empty()) look(service.entrypoint.front(), "entrypoint", true);
            else if (!service.command.empty() && service.entrypoint_node == nullptr) look(service.command.front(), "command", false);
            if (service.healthcheck && service.healthcheck->test.size() > 1 && service.healthcheck->test[0].value == "CMD")
              look(service.healthcheck->test[1], "healthcheck", true);
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

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
-- scripts/run.sh 0644
#!/bin/sh
exec app "$@"
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
-- scripts/run.sh 0644
exec app "$@"
-- scripts/init.sh 0644
psql -c "select 1"
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto look = [&](const compose::Text& program, std::string_view what, bool surely_executed) {
              if (!program.value.starts_with('/')) return;
              const compose::Mount* mount = nullptr;
              for (const auto& candidate : service.mounts)
                if (program.value.starts_with(candidate.target) && (program.value.size() == candidate.target.size() || program.value[candidate.target.size()] == '/') &&
                    (mount == nullptr || candidate.target.size() > mount->target.size()))
                  mount = &candidate;
              if (mount == nullptr || mount->type != compose::Mount::Type::bind) return;
              const auto path = std::string(mount->source) + std::string(program.value.substr(mount->target.size()));
              if (!path.starts_with(input.project.folder + "/")) return;
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

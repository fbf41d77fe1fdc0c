#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// The variable in this place that has no value here, but that an example file or a script of the project names; "" for none.
std::string waits_for(const Input& input, const Location& where) {
  for (const auto& variable : input.wiring.variables) {
    if (variable.defined || !variable.documented) continue;
    for (const auto* use : variable.uses)
      if (use->where.file == where.file && use->where.span.begin >= where.span.begin && use->where.span.end <= where.span.end) return variable.name;
  }
  return {};
}

/// The place is a container name that two services share which no profile switches on together (a CPU and a GPU variant).
bool never_together(const Input& input, const Location& where) {
  for (const auto& service : input.project.services) {
    if (!service.container_name || service.container_name.where() != where) continue;
    return std::ranges::all_of(input.project.services, [&](const compose::Service& other) {
      if (&other == &service || other.container_name.value != service.container_name.value) return true;
      return !service.profiles.empty() && !other.profiles.empty() && std::ranges::none_of(service.profiles, [&](const auto& mine) {
        return std::ranges::any_of(other.profiles, [&](const auto& theirs) { return theirs.value == mine.value; });
      });
    });
  }
  return false;
}

}  // namespace

extern constinit const Rule project_does_not_load{
    .id = "DM0100",
    .name = "project-does-not-load",
    .severity = Severity::critical,
    .area = Area::architecture,
    .summary = "Compose refuses the project",
    .rationale = "Docker Compose stops at this error, so nothing of the project starts.",
    .fix = "Mend it as the hint says.",
    .checks = "104 O31",
    .bad = R"(services:
  app:
    image: example/app:1.0
    depends_on: [gone]  # <- DM0100
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    depends_on: [later]
  later:
    image: example/app:1.0
  model-cpu:
    image: example/model:1.0
    container_name: model
    profiles: [cpu]
  model-gpu:
    image: example/model:1.0
    container_name: model
    profiles: [gpu]
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> env_files;  // DM0106 speaks of these
          for (const auto& missing : missing_env_files(input)) env_files.insert(env_files.end(), missing.where.begin(), missing.where.end());
          std::set<std::tuple<sources::FileId, std::uint32_t, std::string_view>> told;  // what an anchor brings to many places is one fault
          for (const auto& diagnostic : input.diagnostics)
            if (diagnostic.severity == compose::Trouble::error && diagnostic.where && !never_together(input, diagnostic.where) && std::ranges::find(env_files, diagnostic.where) == env_files.end() &&
                told.emplace(diagnostic.where.file, diagnostic.where.span.begin, diagnostic.message).second) {
              auto& finding = report.add(diagnostic.where, wiring::kNone, diagnostic.message, {}, diagnostic.hint);
              if (const auto name = waits_for(input, diagnostic.where); !name.empty()) {
                finding.severity = Severity::low;
                finding.message = fmt::format("{} is still to be set, as its example says; blank, Compose refuses this", name);
                finding.evidence = diagnostic.message;
                finding.hint = "make the .env file from its example";
              }
            }
        },
};

}  // namespace dm::audit::rules

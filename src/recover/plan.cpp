#include "recover/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "compose/labels.hpp"

namespace dm::recover {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::files: return "project files";
    case Kind::secrets: return "sealed files";
    case Kind::folder: return "folder";
    case Kind::volume: return "volume";
    case Kind::offline:
    case Kind::live: return "datastore";
  }
  return "";
}

bool filled_offline(std::string_view kind) { return kind == "valkey" || kind == "openldap"; }

std::string moved(std::string_view path, std::string_view from, std::string_view to) {
  const bool below = path == from || (path.size() > from.size() && path.starts_with(from) && path[from.size()] == '/');
  return below && !from.empty() ? std::string(to) + std::string(path.substr(from.size())) : std::string(path);
}

std::string service_of(const engine::ContainerSummary& container) {
  return compose::one_off(container.labels) ? std::string() : compose::service_of(container.labels);
}

std::string nameless_volume(const backup::StackRecord::Volume& then, const std::vector<engine::ContainerSummary>& containers, const std::set<std::string>& taken) {
  if (then.service.empty()) return {};
  for (const auto& container : containers) {
    if (service_of(container) != then.service) continue;
    for (const auto& mount : container.mounts)
      if (mount.type == "volume" && mount.target == then.target && !taken.contains(mount.name)) return mount.name;
  }
  return {};
}

namespace {

std::string project_folder(const backup::Manifest& run, const Wanted& wanted) {
  if (!wanted.folder.empty()) return wanted.folder;
  for (const auto& saved : run.saved)
    if (saved.subject == "project")
      if (const auto path = saved.target.facts.find("path"); path != saved.target.facts.end()) return path->second;
  return run.stack.folder;
}

std::string sheltered(const std::string& path, const Wanted& wanted) { return wanted.shelter.empty() ? path : wanted.shelter + path; }

}  // namespace

std::vector<std::string> places(const backup::Manifest& run, const Wanted& wanted) {
  std::vector<std::string> out{project_folder(run, wanted)};
  for (const auto& saved : run.saved)
    if (saved.subject.starts_with("folder:")) out.push_back(sheltered(saved.subject.substr(7), wanted));
  return out;
}

Plan plan(const backup::Manifest& run, const Wanted& wanted, const Around& around) {
  Plan out;
  out.folder = project_folder(run, wanted);
  for (const auto& saved : run.saved) {
    if (saved.snapshot.empty()) {
      out.gaps.push_back(fmt::format("{}/{} was not saved in this run: {}", saved.subject, saved.item, saved.trouble));
      continue;
    }
    if (saved.outcome != backup::Outcome::verified) out.gaps.push_back(fmt::format("{}/{} is '{}': {}", saved.subject, saved.item, state::to_string(saved.outcome), saved.trouble));
    out.bytes += saved.bytes;
    auto step = std::ranges::find(out.steps, saved.subject, &Step::subject);
    if (step == out.steps.end()) {
      Step made;
      made.subject = saved.subject;
      if (saved.target.kind == "sealed") {
        made.kind = Kind::secrets;
        made.to = out.folder;
      } else if (saved.subject == "project") {
        made.kind = Kind::files;
        made.to = out.folder;
      } else if (saved.subject.starts_with("folder:")) {
        made.kind = Kind::folder;
        made.from = saved.subject.substr(7);
        made.to = sheltered(made.from, wanted);
      } else if (saved.subject.starts_with("volume:")) {
        made.kind = Kind::volume;
        made.from = made.to = saved.subject.substr(7);
      } else {
        made.kind = filled_offline(saved.target.kind) ? Kind::offline : Kind::live;
        made.from = made.to = saved.target.service;
      }
      step = out.steps.insert(out.steps.end(), std::move(made));
    }
    step->saved.push_back(&saved);
  }
  std::ranges::stable_sort(out.steps, {}, &Step::kind);
  if (std::ranges::find(out.steps, Kind::files, &Step::kind) == out.steps.end()) out.gaps.emplace_back("the project's files are not in this run: it can give back data only");
  for (const auto& line : run.uncovered) out.gaps.push_back("it was not saved: " + line);
  if (!run.stack.known()) out.gaps.emplace_back("the run was made by an older program and does not say which images and volumes there were");
  for (const auto& step : out.steps)
    if ((step.kind == Kind::files || step.kind == Kind::folder) && around.filled.contains(step.to)) out.conflicts.push_back(fmt::format("folder {} is not empty", step.to));
  for (const auto& volume : run.stack.volumes)
    if (around.volumes.contains(volume.name)) out.conflicts.push_back(fmt::format("volume {} exists", volume.name));
  if (around.containers > 0) out.conflicts.push_back(fmt::format("project '{}' has {} containers on this engine", run.project, around.containers));
  for (const auto& service : run.stack.services)
    if (!around.images.contains(service.image) && !around.images.contains(service.image_id) && std::ranges::find(out.pulls, service.image) == out.pulls.end()) out.pulls.push_back(service.image);
  return out;
}

}  // namespace dm::recover

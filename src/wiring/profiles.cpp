#include <algorithm>
#include <set>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

struct Choice {
  std::vector<std::string> profiles;
  std::string basis;
};

bool enabled(const Service& service, const std::vector<std::string>& profiles) {
  return service.profiles.empty() || std::ranges::any_of(service.profiles, [&](const auto& profile) {
           return std::ranges::find(profiles, profile.value) != profiles.end();
         });
}

/// `--profile a --profile b` on one line of a document or script.
void documented(std::string_view text, std::string_view name, const std::set<std::string>& known, std::vector<Choice>& out) {
  std::size_t line = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto rest = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
    Choice choice;
    for (auto at = rest.find("--profile"); at != std::string_view::npos; at = rest.find("--profile")) {
      rest.remove_prefix(at + 9);
      if (rest.starts_with(' ') || rest.starts_with('=')) rest.remove_prefix(1);
      const auto stop = std::min(rest.find_first_of(" `'\"\t\r,;)"), rest.size());
      if (const std::string profile(rest.substr(0, stop)); known.contains(profile)) choice.profiles.push_back(profile);
    }
    if (choice.profiles.empty()) continue;
    choice.basis = std::string(name) + ":" + std::to_string(line);
    out.push_back(std::move(choice));
  }
}

}  // namespace

void find_profile_troubles(Wiring& wiring, const sources::Files& files) {
  const Project& project = *wiring.project;
  std::set<std::string> profiles;
  for (const Service& service : project.services)
    for (const auto& profile : service.profiles) profiles.emplace(profile.value);
  std::vector<Choice> choices{{{}, "no profile chosen"}};
  for (const auto& profile : profiles) choices.push_back({{profile}, "profile '" + profile + "' alone"});
  if (!project.profiles.empty()) choices.push_back({project.profiles, "the chosen profiles"});
  if (!profiles.empty()) {
    for (const auto& name : files.list(project.folder)) {
      if (!(name.starts_with("README") || name.ends_with(".md") || name == "Makefile" || name.ends_with(".sh"))) continue;
      if (const auto text = files.read(sources::clean_path(name, project.folder), 1U << 20U); text) documented(*text, name, profiles, choices);
    }
  }
  std::set<std::pair<ServiceId, ServiceId>> seen;
  for (const Choice& choice : choices) {
    for (ServiceId id = 0; id < project.services.size(); ++id) {
      const Service& service = project.services[id];
      if (!enabled(service, choice.profiles)) continue;
      for (const auto& dependency : service.depends_on) {
        const auto target = wiring.id_of(dependency.service);
        if (target == kNone || !dependency.required || enabled(project.services[target], choice.profiles)) continue;
        if (seen.emplace(id, target).second) wiring.profile_troubles.push_back({choice.profiles, choice.basis, id, target, dependency.where});
      }
    }
  }
}

}  // namespace dm::wiring

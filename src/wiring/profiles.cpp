#include <algorithm>
#include <set>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

constexpr std::size_t kMostChoices = 64;  // different combinations of documents and scripts

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
  std::set<std::string> known;
  for (const Service& service : project.services)
    for (const auto& profile : service.profiles) known.emplace(profile.value);
  if (known.empty()) return;
  std::set<std::pair<ServiceId, ServiceId>> seen;
  const auto judge = [&](const Choice& choice, ServiceId id) {
    const Service& service = project.services[id];
    if (!enabled(service, choice.profiles)) return;
    for (const auto& dependency : service.depends_on) {
      const auto target = wiring.id_of(dependency.service);
      if (target == kNone || !dependency.required || enabled(project.services[target], choice.profiles)) continue;
      if (seen.emplace(id, target).second) wiring.profile_troubles.push_back({choice.profiles, choice.basis, id, target, dependency.where});
    }
  };
  // Each service is on in "none" or in its own profiles alone, so this is linear, not profiles times services.
  const Choice none{{}, "no profile chosen"};
  const auto chosen = project.environment.find("COMPOSE_PROFILES");  // then `up` alone never means "no profile"
  const bool always_some = chosen != project.environment.end() && !chosen->second.value.empty();
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    if (project.services[id].profiles.empty() && !always_some) judge(none, id);
    for (const auto& profile : project.services[id].profiles)
      judge({{std::string(profile.value)}, "profile '" + std::string(profile.value) + "' alone"}, id);
  }
  std::vector<Choice> choices;
  if (!project.profiles.empty() && std::ranges::find(project.profiles, "*") == project.profiles.end())
    choices.push_back({project.profiles, "the chosen profiles"});
  for (const std::string folder : {"", "docs/", "scripts/"}) {
    for (const auto& name : files.list(sources::clean_path(folder, project.folder))) {
      if (!(name.starts_with("README") || name.ends_with(".md") || name == "Makefile" || name.ends_with(".sh"))) continue;
      if (const auto text = files.read(sources::clean_path(folder + name, project.folder), 1U << 20U); text) documented(*text, folder + name, known, choices);
    }
  }
  std::set<std::vector<std::string>> judged;
  for (const Choice& choice : choices) {
    if (judged.size() >= kMostChoices) break;
    if (!judged.insert(choice.profiles).second) continue;
    for (ServiceId id = 0; id < project.services.size(); ++id) judge(choice, id);
  }
}

}  // namespace dm::wiring

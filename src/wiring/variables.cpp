#include <algorithm>
#include <map>
#include <set>

#include "formats/dotenv.hpp"
#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

constexpr std::size_t kMostGenerators = 40;  // files looked at; more are no hand-written project

/// `NAME=` somewhere in the text, NAME as a whole word and not within `$NAME`.
bool assigns(std::string_view text, std::string_view name) {
  for (auto at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const char before = at == 0 ? '\n' : text[at - 1];
    const auto end = at + name.size();
    if (end < text.size() && text[end] == '=' && (before == '\n' || before == ' ' || before == '\t' || before == '"' || before == '\'')) return true;
  }
  return false;
}

/// Some script, page or comment of the project starts it with `--env-file`.
bool names_env_file(const Project& project) {
  constexpr std::string_view kOption = "--env-file";
  for (const auto& path : project.compose_files)
    if (const auto text = project.texts.files().read(path, 1U << 20U); text && text->find(kOption) != std::string::npos) return true;
  std::size_t count = 0;
  for (const auto& name : project.texts.files().list(project.folder)) {
    const bool told = name.ends_with(".sh") || name.ends_with(".md") || name.ends_with(".txt") || name == "Makefile" || name == "justfile" || name == "package.json" || name.starts_with("Taskfile");
    if (!told || ++count > kMostGenerators) continue;
    const auto text = project.texts.files().read(sources::clean_path(name, project.folder), 1U << 20U);
    if (text && text->find(kOption) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

void find_variables(Wiring& wiring, Project& project) {
  std::map<std::string_view, VariableInfo> all;
  for (const auto& use : project.variables) {
    auto& info = all[use.name];
    info.name = use.name;
    info.uses.push_back(&use);
    info.defined = info.defined || use.defined;
  }
  const formats::Expand keep = [](std::string_view raw, const std::vector<formats::DotenvEntry>&, std::string& out) {
    out = raw;
    return true;
  };
  for (const auto& name : project.texts.files().list(project.folder)) {
    const bool example = name.find("env") != std::string::npos && (name.find("example") != std::string::npos || name.find("sample") != std::string::npos ||
                                                                  name.find("template") != std::string::npos || name.find("dist") != std::string::npos);
    if (!example && name != ".env") continue;
    const auto file = project.texts.open(sources::clean_path(name, project.folder));
    if (!file) continue;
    for (const auto& entry : formats::parse_dotenv(project.texts.at(*file).content, keep).entries) {
      const auto found = all.find(entry.key);
      if (found != all.end()) {
        found->second.definitions.push_back({*file, entry.key_span});
        found->second.documented = true;
        continue;
      }
      VariableInfo unused;  // defined, but nothing in the project uses it
      unused.name = entry.key;
      unused.definitions.push_back({*file, entry.key_span});
      unused.documented = true;
      wiring.variables.push_back(std::move(unused));
    }
  }
  // What only an env_file of a service sets is not there for ${...}: listed as a place, but neither defined nor documented.
  std::set<std::string_view> files;
  for (const Service& service : project.services)
    for (const auto& path : service.env_files) files.insert(path.value);
  for (const auto& path : files) {
    if (sources::file_name(path) == ".env" && sources::parent_path(path) == project.folder) continue;
    const auto file = project.texts.open(std::string(path));
    if (!file) continue;
    for (const auto& entry : formats::parse_dotenv(project.texts.at(*file).content, keep).entries)
      if (const auto found = all.find(entry.key); found != all.end()) found->second.definitions.push_back({*file, entry.key_span});
  }
  // A script or settings file of the folder that sets it writes the env file, or is copied to be it.
  if (std::ranges::any_of(all, [](const auto& entry) { return !entry.second.defined && !entry.second.documented; })) {
    const bool handed_over = names_env_file(project);
    std::size_t count = 0;
    for (const auto& name : project.texts.files().list(project.folder)) {
      // What services are given by `env_file:` is not there for ${...}, unless it is handed over on the command line, too.
      if (!handed_over && files.contains(sources::clean_path(name, project.folder))) continue;
      const bool sets = name.ends_with(".sh") || name.ends_with(".conf") || name == "Makefile" || name == "justfile" || name.find("env") != std::string::npos;
      if (!sets || name == ".env" || ++count > kMostGenerators) continue;
      const auto text = project.texts.files().read(sources::clean_path(name, project.folder), 1U << 20U);
      if (!text) continue;
      for (auto& [variable, info] : all)
        if (!info.defined && !info.documented && assigns(*text, variable)) info.documented = true;
    }
  }
  for (auto& [name, info] : all) wiring.variables.push_back(std::move(info));
}

}  // namespace dm::wiring

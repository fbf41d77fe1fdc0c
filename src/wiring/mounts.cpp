#include <algorithm>
#include <array>
#include <unordered_map>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

constexpr std::size_t kMostCompared = 500;  // mounts of one service; more are no hand-written project

/// Targets that a container reads as one file: a known ending, or a well-known name. `./data:/acme.sh` is a folder with a dot in its name.
bool file_like(std::string_view target, std::string_view source) {
  const auto name = sources::file_name(target);
  static constexpr std::array kNames{"Caddyfile", "Dockerfile", "Corefile", "crontab", "hosts", "passwd", "localtime", "timezone", ".htpasswd"};
  if (std::ranges::find(kNames, name) != kNames.end()) return true;
  if (sources::parent_path(target) == "/" && sources::file_name(source).find('.') == std::string_view::npos) return false;
  static constexpr std::array kEndings{".yml", ".yaml", ".json", ".toml", ".conf", ".cfg", ".ini", ".xml", ".sql", ".sh", ".env", ".pem",
                                       ".crt", ".key", ".cnf", ".txt", ".ldif", ".properties", ".py", ".js", ".php", ".lua", ".rules"};
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

bool below(std::string_view inner, std::string_view outer) {
  return inner == outer || outer == "/" || (inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/');
}

}  // namespace

void find_mounts(Wiring& wiring, const sources::Files& files) {
  const Project& project = *wiring.project;
  std::unordered_map<std::string_view, std::string_view> devices;
  for (const auto& volume : project.volumes) devices[volume.key] = volume.device;
  std::unordered_map<std::string, sources::Stat> stats;  // many services mount the same sources
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    const auto& mounts = project.services[id].mounts;
    for (const auto& mount : mounts) {
      MountUse use;
      use.service = id;
      use.mount = &mount;
      if (mount.type == compose::Mount::Type::bind) use.host_path = mount.source;
      else if (const auto volume = devices.find(mount.source); mount.type == compose::Mount::Type::volume && volume != devices.end())
        use.host_path = volume->second;
      if (!use.host_path.empty()) {
        use.in_project = below(use.host_path, project.folder);
        if (use.in_project) {
          const auto [known, fresh] = stats.try_emplace(use.host_path);
          if (fresh) known->second = files.stat(use.host_path);
          use.source = known->second;
        }
      }
      use.looks_like_file = file_like(mount.target, mount.source);
      if (mounts.size() <= kMostCompared)
        for (const auto& other : mounts)
          if (&other != &mount && (below(other.target, mount.target) || below(mount.target, other.target))) use.shadows.push_back(&other);
      wiring.mounts.push_back(std::move(use));
    }
  }
}

}  // namespace dm::wiring

/// What Compose writes on the containers, networks and volumes that it makes, by which everybody finds them again.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dm::compose {

using Labels = std::map<std::string, std::string>;

namespace label {
inline constexpr const char* kProject = "com.docker.compose.project";
inline constexpr const char* kService = "com.docker.compose.service";
inline constexpr const char* kOneOff = "com.docker.compose.oneoff";  ///< "True" of `docker compose run`, else "False"
inline constexpr const char* kNumber = "com.docker.compose.container-number";
inline constexpr const char* kConfigHash = "com.docker.compose.config-hash";
inline constexpr const char* kConfigFiles = "com.docker.compose.project.config_files";
inline constexpr const char* kEnvFiles = "com.docker.compose.project.environment_file";
inline constexpr const char* kFolder = "com.docker.compose.project.working_dir";
inline constexpr const char* kVersion = "com.docker.compose.version";
inline constexpr const char* kNetwork = "com.docker.compose.network";
inline constexpr const char* kVolume = "com.docker.compose.volume";
}  // namespace label

/// "" where it is not there.
inline std::string label_of(const Labels& labels, const char* name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second;
}

/// The service that a container belongs to, also where `docker compose run` made it; "" = it is not of Compose.
inline std::string service_of(const Labels& labels) { return label_of(labels, label::kService); }

/// Made by `docker compose run`: it stands beside the service and is none of its replicas.
inline bool one_off(const Labels& labels) { return label_of(labels, label::kOneOff) == "True"; }

/// For an engine's filter: all of a project.
inline std::vector<std::string> of_project(std::string_view project) { return {label::kProject + ("=" + std::string(project))}; }

/// For an engine's filter: the replicas of a service, without what `docker compose run` made beside them.
inline std::vector<std::string> replicas_of(std::string_view project, std::string_view service) {
  return {label::kProject + ("=" + std::string(project)), label::kService + ("=" + std::string(service)), label::kOneOff + std::string("=False")};
}

/// The paths in a label that lists some. Compose joins them with commas, which may be in a path, too: each path is absolute, so that
/// a comma with no slash behind it is part of one. What was handed over in memory, and what is no file (`/dev/fd/9`, `/dev/null`, "-"),
/// is left out: it is gone, or another's.
inline std::vector<std::string> paths_in(std::string_view list) {
  std::vector<std::string> out;
  const auto begins = [](std::string_view rest) { return rest.starts_with('/') || rest == "-" || rest.starts_with("-,/"); };
  while (!list.empty()) {
    auto cut = list.find(',');
    while (cut != std::string_view::npos && !begins(list.substr(cut + 1))) cut = list.find(',', cut + 1);
    const auto path = list.substr(0, cut);
    list.remove_prefix(cut == std::string_view::npos ? list.size() : cut + 1);
    if (path.starts_with('/') && !path.starts_with("/dev/") && !path.starts_with("/proc/")) out.emplace_back(path);
  }
  return out;
}

/// The way back.
inline std::string joined_paths(const std::vector<std::string>& paths) {
  std::string out;
  for (const auto& path : paths) out.append(out.empty() ? "" : ",").append(path);
  return out;
}

}  // namespace dm::compose

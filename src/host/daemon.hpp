/// The Docker daemon's own settings, as its process on this machine and its daemon.json show them; the Engine API shows few of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::host {

struct Daemon {
  std::optional<bool> userland_proxy{}, iptables{}, debug{}, icc{};
  std::string log_level{};
  std::vector<std::string> hosts{};
  bool tls_verify = false;
  std::string seccomp_profile{}, cgroup_parent{};
  std::map<std::string, std::string> log_options{};
  std::string config_file{};          ///< that it reads; may not exist
};

/// From the text of daemon.json ("" = none) and the daemon's argv; a flag beats the file. Errors: `invalid_input` (no JSON).
Result<Daemon> daemon_settings(std::string_view daemon_json, const std::vector<std::string>& argv);

/// Path that `argv` names by --config-file, else /etc/docker/daemon.json.
std::string daemon_config_path(const std::vector<std::string>& argv);
/// argv of the running dockerd that serves `socket`; the only one where there is one; empty where none is seen.
std::vector<std::string> daemon_argv(const std::string& socket, const std::string& root = "");

}  // namespace dm::host

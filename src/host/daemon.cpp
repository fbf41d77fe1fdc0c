#include "host/daemon.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace dm::host {
namespace {

using Json = nlohmann::json;

/// Value of --name VALUE or --name=VALUE, every time it stands there; "true" for a flag alone.
std::vector<std::string> flag(const std::vector<std::string>& argv, const std::string& name, bool takes_value) {
  std::vector<std::string> out;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (argv[i] == name) out.push_back(takes_value ? (i + 1 < argv.size() ? argv[i + 1] : "") : "true");
    if (argv[i].starts_with(name + "=")) out.push_back(argv[i].substr(name.size() + 1));
  }
  return out;
}

std::optional<bool> truth(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
}
std::string text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string daemon_config_path(const std::vector<std::string>& argv) {
  const auto named = flag(argv, "--config-file", true);
  return named.empty() ? "/etc/docker/daemon.json" : named.back();
}

Result<Daemon> daemon_settings(std::string_view daemon_json, const std::vector<std::string>& argv) {
  auto file = Json::object();
  if (daemon_json.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    file = Json::parse(daemon_json, nullptr, false);
    if (file.is_discarded() || !file.is_object()) return fail(Errc::invalid_input, "daemon.json is not a JSON object");
  }
  Daemon out;
  out.config_file = daemon_config_path(argv);
  const auto setting = [&](const char* key, const char* name, std::optional<bool>& into) {
    into = truth(file, key);
    for (const auto& value : flag(argv, name, false)) into = value == "true" || value == "1";
  };
  setting("userland-proxy", "--userland-proxy", out.userland_proxy);
  setting("iptables", "--iptables", out.iptables);
  setting("debug", "--debug", out.debug);
  setting("icc", "--icc", out.icc);
  std::optional<bool> verify;
  setting("tlsverify", "--tlsverify", verify);
  out.tls_verify = verify.value_or(false);
  out.log_level = text(file, "log-level");
  for (const char* name : {"--log-level", "-l"})
    for (const auto& value : flag(argv, name, true)) out.log_level = value;
  if (const auto hosts = file.find("hosts"); hosts != file.end() && hosts->is_array())
    for (const auto& host : *hosts)
      if (host.is_string()) out.hosts.push_back(host.get<std::string>());
  for (const char* name : {"--host", "-H"})
    for (const auto& value : flag(argv, name, true)) out.hosts.push_back(value);
  out.seccomp_profile = text(file, "seccomp-profile");
  for (const auto& value : flag(argv, "--seccomp-profile", true)) out.seccomp_profile = value;
  out.cgroup_parent = text(file, "cgroup-parent");
  for (const auto& value : flag(argv, "--cgroup-parent", true)) out.cgroup_parent = value;
  if (const auto options = file.find("log-opts"); options != file.end() && options->is_object())
    for (const auto& [key, value] : options->items())
      if (value.is_string()) out.log_options[key] = value.get<std::string>();
  for (const auto& value : flag(argv, "--log-opt", true))
    if (const auto cut = value.find('='); cut != std::string::npos) out.log_options[value.substr(0, cut)] = value.substr(cut + 1);
  return out;
}

std::vector<std::string> daemon_argv(const std::string& socket, const std::string& root) {
  namespace fs = std::filesystem;
  std::vector<std::vector<std::string>> found;
  std::error_code error;
  for (auto entry = fs::directory_iterator(root + "/proc", error); !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const auto pid = entry->path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream comm(entry->path() / "comm");
    std::string name;
    if (!std::getline(comm, name) || name != "dockerd") continue;
    std::ifstream line(entry->path() / "cmdline");
    std::vector<std::string> argv;
    for (std::string word; std::getline(line, word, '\0');) argv.push_back(word);
    if (!argv.empty()) found.push_back(std::move(argv));
  }
  if (found.size() == 1) return found[0];
  // Several: the one that names this socket; the default socket is that of the one that names none.
  const auto names_socket = [](const std::vector<std::string>& argv, const std::string& which) {
    return std::ranges::any_of(argv, [&](const std::string& word) { return word.find(which) != std::string::npos; });
  };
  for (const auto& argv : found)
    if (names_socket(argv, socket)) return argv;
  if (socket == "/var/run/docker.sock" || socket == "/run/docker.sock")
    for (const auto& argv : found)
      if (!names_socket(argv, "unix://")) return argv;
  return {};
}

}  // namespace dm::host

/// What was observed on a running stack, with its time. Plain values; unknown things are empty, nullopt, or named in `unknown`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dm::facts {

struct Engine {
  std::string place{};              ///< "unix:///var/run/docker.sock (default)"
  std::string id{}, product{}, version{}, api{};
  std::string root_dir{}, storage_driver{}, log_driver{}, cgroup_driver{}, default_runtime{};
  std::int64_t cgroup_version = 0;
  bool rootless = false, userns_remap = false, live_restore = false, experimental = false, swarm = false;
  bool swap_limit = true, ip_forward = true, bridge_iptables = true;
  std::vector<std::string> runtimes{}, security_options{}, authorization{}, insecure_registries{}, warnings{};
  std::int64_t memory = 0, cpus = 0;          ///< of its machine
  std::int64_t containers_all = 0, containers_stopped = 0, images = 0, unused_images = 0, unused_image_bytes = 0;
  std::optional<bool> default_bridge_icc{};   ///< containers on the default bridge reach each other
  std::int64_t networks = 0;                  ///< bridge networks that hold a subnet
};

/// What only the engine's own machine can show; empty where the engine is elsewhere or we may not look.
struct Daemon {
  bool seen = false;                          ///< its settings could be read
  std::optional<bool> userland_proxy{}, iptables{}, debug{};
  std::string log_level{};                    ///< "" = info
  std::vector<std::string> hosts{};           ///< "tcp://0.0.0.0:2375" ...
  bool tls_verify = false;
  std::string seccomp_profile{}, cgroup_parent{};
  std::map<std::string, std::string> log_options{};  ///< defaults for new containers
  std::int64_t settings_changed = 0;          ///< mtime of daemon.json, Unix seconds; 0 = there is none
};

struct File {
  std::string path{};
  std::int64_t mode = 0;                      ///< permission bits
  std::string owner{}, group{};
  bool folder = false, socket = false;
};

struct Disk {
  std::string path{};                         ///< that was asked about
  std::string mount{};                        ///< where its file system is mounted
  std::int64_t total = 0, free = 0, inodes = 0, inodes_free = 0;
};

struct Host {
  bool seen = false;                          ///< the engine's machine is this one
  std::int64_t memory = 0, memory_available = 0, swap = 0, cpus = 0;
  std::string kernel{};
  std::int64_t cgroup_version = 0;
  std::vector<Disk> disks{};                  ///< engine's root, and what bind mounts and volumes use
  std::map<std::string, std::string> sysctls{};
  std::vector<std::string> gpus{};
  std::vector<std::string> docker_group{};    ///< users in it
  std::vector<File> files{};                  ///< daemon.json, sockets, units, certificates that exist
  std::vector<std::string> audit_watched{};   ///< paths that auditd watches
  bool auditd = false;                        ///< its rules could be read
};

struct HealthRun {
  std::int64_t end = 0;                       ///< Unix seconds
  std::int64_t exit_code = 0;
  std::string output{};                       ///< shortened, secrets masked
};

struct Port {
  std::int64_t inside = 0, outside = 0;
  std::string address{}, protocol{};
  bool operator==(const Port&) const = default;
};

struct Container {
  std::string id{}, name{};
  std::string service{};                      ///< Compose's label
  std::int64_t number = 1;
  bool oneoff = false;                        ///< made by `compose run`
  std::string config_hash{};                  ///< as Compose labelled it
  std::string image{}, image_id{};
  std::string state{};                        ///< "running", "exited", "restarting", "paused", "created", "dead"
  std::int64_t exit_code = 0, restart_count = 0;
  bool oom_killed = false;
  std::optional<std::int64_t> oom_kills{};    ///< by the control group, since the container started
  std::int64_t created = 0, started = 0, finished = 0;  ///< Unix seconds
  std::string error{};
  std::string health{};                       ///< "", "starting", "healthy", "unhealthy"
  std::int64_t failing_streak = 0;
  std::vector<HealthRun> health_log{};
  std::int64_t health_budget = 0;             ///< seconds from start until it must be healthy: start period + retries x (interval + timeout)
  std::int64_t memory_limit = 0, nano_cpus = 0, pids_limit = 0, memory_reservation = 0;  ///< as the engine has them; 0 = none
  std::optional<std::int64_t> cgroup_memory_limit{};  ///< as the kernel has it; 0 = none
  std::optional<std::int64_t> memory_use{}, memory_peak{};
  std::string log_driver{};
  std::map<std::string, std::string> log_options{};
  std::optional<std::int64_t> log_bytes{};    ///< size of its log files
  std::string user{}, restart_policy{};
  bool privileged = false;
  std::vector<Port> ports{};
  std::vector<std::string> networks{};
  std::vector<std::string> programs{};        ///< that run in it, by name, each once; empty = not seen from here
  std::optional<bool> root_only{};            ///< every process in it is root of the engine's machine
};

struct Image {
  std::string name{};                         ///< as the project names it
  std::string id{};                           ///< what that name is now; "" = not there
  std::string user{};
  bool healthcheck = false;
};

struct Facts {
  std::int64_t observed = 0;                  ///< Unix seconds, UTC
  std::string project{};
  Engine engine{};
  Daemon daemon{};
  Host host{};
  std::vector<Container> containers{};        ///< of the project, also stopped ones
  std::vector<Image> images{};                ///< that the project names
  std::map<std::string, std::string> config_hashes{};  ///< by service, as the installed Compose computes them now; may be empty
  std::vector<std::string> unknown{};         ///< what could not be looked at, and why

  const Image* image(std::string_view name) const;
  /// Containers of a service, without those of `compose run`.
  std::vector<const Container*> of(std::string_view service) const;
};

}  // namespace dm::facts

/// What an engine tells, as plain values. Absent things are empty or nullopt; times are Unix nanoseconds, UTC (0 = never).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dm::engine {

using Labels = std::map<std::string, std::string>;

struct Info {
  std::string id{};               ///< of the engine; stable over restarts
  std::string name{};             ///< host name
  std::string product{};          ///< "Docker" or "Podman"
  std::string server_version{};   ///< "20.10.24+dfsg1"
  std::string api_version{};      ///< what we speak with it
  std::string server_api{};       ///< the newest that it speaks
  std::string min_api{};          ///< the oldest
  std::string os{}, arch{}, kernel{}, operating_system{};
  std::string storage_driver{};
  std::string cgroup_driver{};    ///< "cgroupfs", "systemd", "none"
  unsigned cgroup_version = 0;    ///< 1 or 2; 0 = it did not say
  bool rootless = false;
  bool userns_remap = false;
  std::string root_dir{};         ///< on the engine's machine
  std::vector<std::string> runtimes{};
  std::string default_runtime{};
  std::uint64_t memory = 0;       ///< bytes of the engine's machine
  unsigned cpus = 0;
  std::vector<std::string> security_options{};  ///< "name=seccomp,profile=default" ...
  std::string log_driver{};       ///< default of the daemon
  bool live_restore = false;
  bool experimental = false;
  bool swarm = false;
  bool ip_forward = true;
  bool bridge_iptables = true;
  bool swap_limit = true;
  std::vector<std::string> authorization{};        ///< plugins
  std::vector<std::string> insecure_registries{};  ///< beside loopback
  std::vector<std::string> warnings{};
  std::vector<std::pair<std::string, std::int64_t>> address_pools{};  ///< base CIDR, prefix length of a pool; empty = the built-in ones
  std::int64_t system_time = 0;   ///< the engine's clock
  std::size_t containers = 0, running = 0, images = 0;
};

struct Port {
  std::uint16_t inside = 0;
  std::uint16_t outside = 0;      ///< 0 = not published
  std::string address{};          ///< host address it listens on: "0.0.0.0", "::", "127.0.0.1"
  std::string protocol{"tcp"};
  bool operator==(const Port&) const = default;
};

struct Mount {
  std::string type{};             ///< "bind", "volume", "tmpfs"
  std::string name{};             ///< of a volume
  std::string source{};           ///< path on the engine's machine
  std::string target{};
  bool writable = true;
  bool operator==(const Mount&) const = default;
};

struct Endpoint {
  std::string network_id{};
  std::vector<std::string> aliases{};
  std::string address{}, address6{}, gateway{};
  bool operator==(const Endpoint&) const = default;
};

/// One line of a list of containers: cheap, for all of them at once.
struct ContainerSummary {
  std::string id{};
  std::string name{};             ///< without the slash
  std::string image{};            ///< as it was named
  std::string image_id{};
  Labels labels{};
  std::string state{};            ///< "created", "running", "paused", "restarting", "removing", "exited", "dead"
  std::string status{};           ///< for people: "Up 3 minutes (healthy)"
  std::string health{};           ///< "", "starting", "healthy", "unhealthy"
  std::int64_t created = 0;
  std::vector<Port> ports{};
  std::vector<Mount> mounts{};
  std::map<std::string, Endpoint> networks{};
};

struct HealthLog {
  std::int64_t start = 0, end = 0;
  int exit_code = 0;              ///< -1: it could not be run, or took too long
  std::string output{};           ///< at most about 4 kB
};

struct Health {
  std::string status{};           ///< "" (no healthcheck), "starting", "healthy", "unhealthy"
  unsigned failing_streak = 0;
  std::vector<HealthLog> log{};   ///< the last five, oldest first
};

/// A healthcheck definition. Durations in nanoseconds, 0 = the engine's default (30 s, 30 s, 0, 5 s).
struct Healthcheck {
  std::vector<std::string> test{};  ///< {"CMD", ...}, {"CMD-SHELL", line}, {"NONE"}; empty = inherited
  std::int64_t interval = 0, timeout = 0, start_period = 0, start_interval = 0;
  unsigned retries = 0;             ///< 0 = 3
  bool operator==(const Healthcheck&) const = default;
};

struct Limits {
  std::int64_t memory = 0;        ///< bytes, 0 = none
  std::int64_t memory_swap = 0;   ///< memory and swap; -1 = unlimited swap
  std::int64_t memory_reservation = 0;
  std::int64_t nano_cpus = 0;     ///< 1e9 = one core; from the quota where the quota was given
  std::int64_t cpu_shares = 0;
  std::int64_t pids = 0;          ///< 0 = none
  std::int64_t shm_size = 0;
  bool oom_kill_disable = false;
  bool operator==(const Limits&) const = default;
};

struct RestartPolicy {
  std::string name{"no"};         ///< "no", "always", "unless-stopped", "on-failure"
  int maximum_retries = 0;
  bool operator==(const RestartPolicy&) const = default;
};

struct Container {
  std::string id{}, name{};
  std::string image{};            ///< as it was named at creation
  std::string image_id{};
  std::int64_t created = 0, started = 0, finished = 0;
  std::string state{};            ///< as in ContainerSummary
  bool running = false, paused = false, restarting = false, oom_killed = false, dead = false;
  int exit_code = 0;
  std::string error{};            ///< the engine's own words of the last failed start
  std::int64_t pid = 0;           ///< on the engine's machine; 0 = not running
  unsigned restart_count = 0;     ///< restarts by policy since it was created or started by hand
  Health health{};
  Healthcheck healthcheck{};      ///< in force: of the image where the container names none
  Labels labels{};
  std::vector<std::string> command{}, entrypoint{};
  std::vector<std::string> env{}; ///< "NAME=value": may hold secrets, never print it
  std::string user{}, working_dir{}, hostname{};
  bool tty = false, open_stdin = false, read_only = false, privileged = false, init = false;
  std::vector<std::string> cap_add{}, cap_drop{}, security_opt{};
  std::string network_mode{}, pid_mode{}, ipc_mode{}, cgroup_parent{}, runtime{};
  RestartPolicy restart{};
  Limits limits{};
  std::string log_driver{};
  std::map<std::string, std::string> log_options{};
  std::string log_path{};
  std::vector<Port> ports{};      ///< published, as they are now; as configured where it does not run
  std::vector<Mount> mounts{};
  std::map<std::string, Endpoint> networks{};  ///< by name of the network
  std::string stop_signal{};
  int stop_timeout = 0;           ///< seconds, 0 = default (10)
};

struct Image {
  std::string id{};
  std::vector<std::string> tags{}, digests{};
  std::int64_t created = 0;
  std::int64_t tagged = 0;            ///< when it last got a tag here, as by a pull; nanoseconds since 1970, 0 = not said
  std::uint64_t size = 0;
  std::string os{}, arch{}, user{}, working_dir{};
  std::vector<std::string> env{}, command{}, entrypoint{};
  Healthcheck healthcheck{};
  std::vector<std::string> exposed{};  ///< "5432/tcp"
  std::vector<std::string> volumes{};  ///< paths
  Labels labels{};
  std::string stop_signal{};
};

struct Network {
  std::string id{}, name{}, driver{}, scope{};
  bool internal = false, attachable = false, ipv6 = false;
  std::vector<std::string> subnets{};
  std::map<std::string, std::string> options{};
  Labels labels{};
  std::int64_t created = 0;
};

struct Volume {
  std::string name{}, driver{}, mountpoint{};  ///< mountpoint on the engine's machine
  std::map<std::string, std::string> options{};
  Labels labels{};
  std::int64_t created = 0;
};

struct Event {
  std::int64_t time = 0;          ///< the engine's clock
  std::string type{};             ///< "container", "network", "volume", "image", "daemon"
  std::string action{};           ///< "start", "die", "oom", "health_status: healthy" ...
  std::string id{};
  std::map<std::string, std::string> attributes{};  ///< "name", "exitCode", and the labels of a container
};

/// One sample. Counters only grow; two samples make a rate.
struct Stats {
  std::int64_t read = 0;
  std::uint64_t cpu_total = 0;    ///< nanoseconds of CPU
  std::uint64_t throttled_periods = 0, periods = 0, throttled_time = 0;
  std::uint64_t memory_usage = 0, memory_limit = 0;
  std::uint64_t working_set = 0;  ///< usage without inactive page cache
  std::uint64_t pids = 0;
  std::uint64_t rx_bytes = 0, tx_bytes = 0, read_bytes = 0, write_bytes = 0;
};

struct DiskUsage {
  std::uint64_t images = 0;            ///< bytes of all layers
  std::uint64_t unused_images = 0;     ///< bytes of images that no container uses, as far as not shared
  std::size_t unused_image_count = 0;
  std::uint64_t containers = 0;        ///< writable layers
  std::uint64_t build_cache = 0;
  std::map<std::string, std::int64_t> volumes{};  ///< bytes by name; -1 = the engine did not say
};

/// What to create. Enough for helpers and restore drills; the stack's own containers are made by Compose.
struct NewContainer {
  std::string name{};                  ///< "" = the engine chooses
  std::string image{};                 ///< name or id; never pulled
  std::vector<std::string> command{};  ///< empty = of the image
  std::vector<std::string> entrypoint{};
  std::vector<std::string> env{};      ///< "NAME=value"; the engine keeps it in the clear in its own files
  Labels labels{};
  std::vector<Mount> mounts{};         ///< bind: source path; volume: name; tmpfs: target only
  std::string network{};               ///< name or id; "" = the default bridge; "none"
  std::vector<std::string> aliases{};  ///< on that network
  std::string user{}, working_dir{}, hostname{};
  Limits limits{};
  RestartPolicy restart{};             ///< "no" unless said otherwise
  Healthcheck healthcheck{};
  std::vector<std::string> cap_drop{}, cap_add{}, security_opt{};
  bool read_only = false, init = false, auto_remove = false, open_stdin = false;
  std::vector<Port> ports{};
};

struct NewNetwork {
  std::string name{};
  Labels labels{};
  bool internal = false;
  std::string driver{"bridge"};
  std::string subnet{};                ///< "" = the engine chooses
};

}  // namespace dm::engine

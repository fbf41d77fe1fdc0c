/// The typed view of a loaded project: what wiring and rules read. Everything points into the project's arena.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compose/value.hpp"

namespace dm::compose {

/// A string and the value that it came from; `node` is null where nothing was written.
struct Text {
  std::string_view value;
  const Value* node = nullptr;
  explicit operator bool() const { return node != nullptr; }
  Location where() const { return node != nullptr ? node->where : Location{}; }
};

struct EnvVar {
  std::string_view name;
  Text value;              ///< node is never null; a variable without a value has Kind::null
  Location where;          ///< the whole item: `- A=b`, or the key of the map form
  bool from_env_file = false;
};

struct Port {
  std::string_view host_ip;      ///< "" = all interfaces
  std::string_view published;    ///< "" = random; may be a range "6000-6002"
  std::uint32_t target = 0;
  std::string_view protocol;     ///< "tcp", "udp", ...
  Location where;
};

struct Mount {
  enum class Type : std::uint8_t { bind, volume, tmpfs, other };
  Type type = Type::other;
  std::string_view source;       ///< bind: absolute path; volume: key under `volumes:`, "" = anonymous
  std::string_view target;       ///< cleaned absolute path in the container
  bool read_only = false;
  bool create_host_path = false; ///< the engine makes a missing source, as a folder
  Location where;
};

struct Dependency {
  std::string_view service;
  std::string_view condition;    ///< service_started, service_healthy, service_completed_successfully
  bool required = true;
  bool restart = false;
  bool implied = false;          ///< by links, volumes_from, network_mode, ipc, pid
  Location where;
};

struct Healthcheck {
  const Value* node = nullptr;
  bool disabled = false;                       ///< `disable: true` or test NONE
  std::vector<Text> test;                      ///< first is CMD, CMD-SHELL or NONE; empty where none is given
  std::optional<std::chrono::nanoseconds> interval, timeout, start_period, start_interval;
  std::optional<std::int64_t> retries;
};

struct NetworkUse {
  std::string_view network;      ///< key under `networks:`
  std::vector<Text> aliases;
  Text ipv4, ipv6;
  Location where;
};

struct FileUse {                 ///< `secrets:` or `configs:` of a service
  std::string_view source;
  std::string_view target;
  std::string_view uid, gid, mode;  ///< of the long syntax, as Compose prints them; "" = not given
  Location where;
};

struct Limits {
  std::optional<std::uint64_t> memory;      ///< bytes
  std::optional<double> cpus;
  std::optional<std::int64_t> pids;
  const Value* memory_node = nullptr;
  const Value* cpus_node = nullptr;
  const Value* pids_node = nullptr;
};

struct Service {
  std::string_view name;
  Location where;                          ///< the key that names it
  const Value* node = nullptr;             ///< its normalised mapping
  bool enabled = true;                     ///< by the chosen profiles
  std::vector<Text> profiles;              ///< empty = always
  Text image, container_name, hostname, restart, user, network_mode, stop_grace_period, pid, ipc;
  const Value* build = nullptr;
  bool privileged = false, read_only = false, tty = false;
  std::optional<bool> init;
  std::vector<Text> command, entrypoint;   ///< split as Compose splits them
  const Value* command_node = nullptr;     ///< null where not given
  const Value* entrypoint_node = nullptr;
  std::vector<EnvVar> environment;         ///< env_file first, then environment; one entry a name, the winner
  std::vector<Port> ports;
  std::vector<Text> expose;
  std::vector<Mount> mounts;               ///< volumes and tmpfs
  std::vector<NetworkUse> networks;        ///< "default" where none is given and network_mode allows
  std::vector<Dependency> depends_on;
  std::optional<Healthcheck> healthcheck;
  std::vector<FileUse> secrets, configs;
  std::vector<Text> cap_add, cap_drop, security_opt, dns, extra_hosts, devices, volumes_from;
  std::vector<std::pair<std::string_view, Text>> labels;
  std::vector<Text> env_files;             ///< absolute paths
  Limits limits, reservations;
  const EnvVar* env(std::string_view variable) const;
};

struct Network {
  std::string_view key, name, driver;
  bool external = false, internal = false;
  const Value* node = nullptr;
  Location where;
};

struct Volume {
  std::string_view key, name, driver;
  bool external = false;
  std::string_view device;                 ///< driver_opts.device of a local bind volume, absolute
  const Value* node = nullptr;
  Location where;
};

struct Resource {                          ///< a top-level secret or config
  std::string_view key, file, environment;
  bool external = false;
  const Value* node = nullptr;
  Location where;
};

/// One `${NAME...}` somewhere in the files, also in services that are not enabled.
struct VariableUse {
  std::string_view name;
  enum class Form : std::uint8_t { plain, default_value, required, alternative } form = Form::plain;
  bool defined = false;
  Location where;                          ///< the reference as written
  std::string_view service;                ///< the service it stands in, "" elsewhere
  std::string_view path;                   ///< "services.db.environment.POSTGRES_PASSWORD"
};

/// Where a variable got its value for interpolation.
struct VariableDefinition {
  std::string value;
  Location where;                          ///< nowhere for the process's environment
};

enum class Trouble : std::uint8_t { error, warning };

/// Something wrong with the user's files. `message` says what; `hint` how to mend it.
struct Diagnostic {
  Trouble severity = Trouble::error;
  Location where;
  std::string message;
  std::string hint;
};

struct Project {
  explicit Project(const sources::Files& files) : texts(files) {}
  sources::SourceSet texts;
  Arena arena;
  std::vector<Link> links{1};              ///< [0] is unused: chain 0 means "written right here"
  std::string name;
  std::string folder;                      ///< absolute project directory
  std::vector<std::string> compose_files;  ///< absolute, in order, includes after them
  std::vector<std::string> main_files;     ///< those that were named or found, without what they include; "-" is standard input
  bool interpolated = true;                ///< false: `model` still holds its variables
  const Value* model = nullptr;            ///< the normalised root: all services, enabled or not
  std::vector<Service> services;           ///< in the order of the files
  std::vector<Network> networks;
  std::vector<Volume> volumes;
  std::vector<Resource> secrets, configs;
  std::vector<std::string> profiles;       ///< chosen
  std::vector<VariableUse> variables;
  std::map<std::string, VariableDefinition, std::less<>> environment;  ///< for interpolation
  std::vector<std::string> dotenv_files;   ///< absolute; .env and --env-file that were read

  const Service* service(std::string_view service_name) const;  ///< O(log n)
  const Network* network(std::string_view key) const;
  const Volume* volume(std::string_view key) const;
  std::map<std::string_view, std::size_t> service_index;        ///< filled by `read_project`
};

/// Fills the typed part of `project` from `project.model`. Never fails: the model was validated.
void read_project(Project& project);

}  // namespace dm::compose

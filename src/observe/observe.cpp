#include "observe/observe.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>

#include "host/cgroup.hpp"
#include "host/daemon.hpp"
#include "host/host.hpp"
#include "compose/labels.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::observe {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kOutput = 300;  // of a health run that is kept

std::int64_t signed_of(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::optional<std::int64_t> signed_of(std::optional<std::uint64_t> value) { return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt; }

std::string shortened(const std::string& output) {
  auto first = output.substr(0, kOutput);
  while (!first.empty() && (first.back() == '\n' || first.back() == '\r')) first.pop_back();
  std::string out;
  std::istringstream lines(first);
  for (std::string line; std::getline(lines, line);) out += (out.empty() ? "" : "\n") + std::string(sensitive::mask_line(line));
  return out;
}

facts::Engine engine_facts(const engine::Info& info, const std::string& place) {
  facts::Engine out;
  out.place = place;
  out.id = info.id;
  out.product = info.product;
  out.version = info.server_version;
  out.api = info.api_version;
  out.root_dir = info.root_dir;
  out.storage_driver = info.storage_driver;
  out.log_driver = info.log_driver;
  out.cgroup_driver = info.cgroup_driver;
  out.cgroup_version = info.cgroup_version;
  out.default_runtime = info.default_runtime;
  out.rootless = info.rootless;
  out.userns_remap = info.userns_remap;
  out.live_restore = info.live_restore;
  out.experimental = info.experimental;
  out.swarm = info.swarm;
  out.swap_limit = info.swap_limit;
  out.ip_forward = info.ip_forward;
  out.bridge_iptables = info.bridge_iptables;
  out.runtimes = info.runtimes;
  out.security_options = info.security_options;
  out.authorization = info.authorization;
  out.insecure_registries = info.insecure_registries;
  out.warnings = info.warnings;
  out.memory = signed_of(info.memory);
  out.cpus = info.cpus;
  out.containers_all = signed_of(info.containers);
  out.containers_stopped = signed_of(info.containers - std::min(info.running, info.containers));
  out.images = signed_of(info.images);
  return out;
}

/// Size of a json-file log with its rotated files.
std::optional<std::int64_t> log_size(const std::string& path) {
  std::optional<std::int64_t> out;
  struct stat what {};
  for (int number = 0; number < 100; ++number) {
    bool any = false;
    for (const char* end : {"", ".gz"}) {
      const auto name = number == 0 ? path : fmt::format("{}.{}{}", path, number, end);
      if (path.empty() || ::stat(name.c_str(), &what) != 0) continue;
      out = out.value_or(0) + what.st_size;
      any = true;
      if (number == 0) break;
    }
    if (!any) break;
  }
  return out;
}

void see_kernel_side(const engine::Container& container, facts::Container& out) {
  out.log_bytes = log_size(container.log_path);
  if (container.pid <= 0) return;
  const auto folders = host::cgroup_folders(container.pid);
  if (!folders) return;
  const auto group = host::read_cgroup(*folders);
  out.oom_kills = signed_of(group.oom_kills);
  out.cgroup_memory_limit = signed_of(group.memory_limit);
  out.memory_use = signed_of(group.working_set);
  out.memory_peak = signed_of(group.memory_peak);
  const auto inside = host::processes(*folders);
  if (inside.empty()) return;
  std::set<std::string> programs;
  for (const auto& process : inside) programs.insert(process.program);
  out.programs.assign(programs.begin(), programs.end());
  out.root_only = std::ranges::all_of(inside, [](const host::Process& process) { return process.user == 0; });
}

/// Files whose owners and modes the CIS benchmark asks for.
std::vector<facts::File> guarded_files(const host::Daemon& daemon, const std::string& socket, const std::string& root_dir) {
  std::vector<facts::File> out;
  std::set<std::string> seen;
  for (const auto& path : {daemon.config_file, socket, root_dir, std::string("/etc/docker"), std::string("/etc/default/docker"), std::string("/etc/sysconfig/docker"),
                           std::string("/usr/lib/systemd/system/docker.service"), std::string("/usr/lib/systemd/system/docker.socket"),
                           std::string("/lib/systemd/system/docker.service"), std::string("/lib/systemd/system/docker.socket"),
                           std::string("/etc/systemd/system/docker.service"), std::string("/run/containerd/containerd.sock")}) {
    if (path.empty() || !seen.insert(path).second) continue;
    if (const auto file = host::file(path)) out.push_back({path, file->mode, file->owner, file->group, file->folder, file->socket});
  }
  return out;
}

void see_daemon(const std::string& socket, facts::Facts& out, host::Daemon& settings) {
  const auto argv = host::daemon_argv(socket);
  const auto path = host::daemon_config_path(argv);
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  auto read = host::daemon_settings(text.str(), argv);
  if (!read) {
    out.unknown.push_back(fmt::format("the daemon's settings: {}: {}", path, read.error().message));
    return;
  }
  settings = *std::move(read);
  if (argv.empty()) {
    out.unknown.emplace_back("the daemon's settings: its process is not seen from here");
    return;
  }
  auto& daemon = out.daemon;
  daemon.seen = true;
  daemon.userland_proxy = settings.userland_proxy;
  daemon.iptables = settings.iptables;
  daemon.debug = settings.debug;
  daemon.log_level = settings.log_level;
  daemon.hosts = settings.hosts;
  daemon.tls_verify = settings.tls_verify;
  daemon.seccomp_profile = settings.seccomp_profile;
  daemon.cgroup_parent = settings.cgroup_parent;
  daemon.log_options = settings.log_options;
  if (const auto what = host::file(path)) daemon.settings_changed = what->modified;
}

void see_host(const Wanted& wanted, facts::Facts& out) {
  host::Daemon settings;
  see_daemon(wanted.socket, out, settings);
  auto& seen = out.host;
  seen.seen = true;
  const auto memory = host::memory();
  seen.memory = signed_of(memory.total);
  seen.memory_available = signed_of(memory.available);
  seen.swap = signed_of(memory.swap_total);
  seen.cpus = host::cpus();
  seen.kernel = host::kernel();
  seen.cgroup_version = host::cgroup_version();
  std::set<std::string> mounts;
  auto paths = wanted.paths;
  paths.insert(paths.begin(), out.engine.root_dir);
  for (const auto& path : paths) {
    const auto disk = host::disk(path);
    if (!disk) {
      out.unknown.push_back(fmt::format("the disk of {}: {}", path, disk.error().describe()));
    } else if (mounts.insert(disk->mount).second) {
      seen.disks.push_back({path, disk->mount, signed_of(disk->total), signed_of(disk->free), signed_of(disk->inodes), signed_of(disk->inodes_free)});
    }
  }
  for (const char* name : {"vm.overcommit_memory", "vm.max_map_count", "vm.swappiness", "net.core.somaxconn", "fs.inotify.max_user_instances", "fs.inotify.max_user_watches",
                           "net.ipv4.ip_forward", "kernel.panic"})
    if (auto value = host::sysctl(name)) seen.sysctls[name] = *std::move(value);
  seen.gpus = host::gpus();
  seen.docker_group = host::group_members("docker");
  seen.files = guarded_files(settings, wanted.socket, out.engine.root_dir);
  if (auto watched = host::audit_watched()) {
    seen.auditd = true;
    seen.audit_watched = *std::move(watched);
  }
}

}  // namespace

facts::Container container_facts(const engine::Container& container) {
  facts::Container out;
  out.id = container.id;
  out.name = container.name;
  out.service = compose::service_of(container.labels);
  out.number = std::strtoll(compose::label_of(container.labels, compose::label::kNumber).c_str(), nullptr, 10);
  out.oneoff = compose::one_off(container.labels);
  out.config_hash = compose::label_of(container.labels, compose::label::kConfigHash);
  out.image = container.image;
  out.image_id = container.image_id;
  out.state = container.state;
  out.exit_code = container.exit_code;
  out.restart_count = container.restart_count;
  out.oom_killed = container.oom_killed;
  out.created = container.created / kSecond;
  out.started = container.started / kSecond;
  out.finished = container.finished / kSecond;
  out.error = shortened(container.error);
  out.health = container.health.status;
  out.failing_streak = container.health.failing_streak;
  for (const auto& run : container.health.log) out.health_log.push_back({run.end / kSecond, run.exit_code, shortened(run.output)});
  if (const auto& check = container.healthcheck; !check.test.empty() && check.test[0] != "NONE") {
    const auto or_default = [](std::int64_t value) { return value == 0 ? 30 * kSecond : value; };
    const std::int64_t retries = check.retries == 0 ? 3 : check.retries;
    out.health_budget = (check.start_period + retries * (or_default(check.interval) + or_default(check.timeout))) / kSecond;
  }
  out.memory_limit = container.limits.memory;
  out.memory_reservation = container.limits.memory_reservation;
  out.nano_cpus = container.limits.nano_cpus;
  out.pids_limit = container.limits.pids;
  out.log_driver = container.log_driver;
  out.log_options = container.log_options;
  for (auto& [key, value] : out.log_options)
    if (key != "max-size" && key != "max-file" && key != "compress" && key != "mode" && key != "tag") value = "(not kept)";  // may hold a token
  out.user = container.user;
  out.restart_policy = container.restart.name;
  out.privileged = container.privileged;
  for (const auto& port : container.ports) out.ports.push_back({port.inside, port.outside, port.address, port.protocol});
  for (const auto& [name, endpoint] : container.networks) out.networks.push_back(name);
  return out;
}

Result<facts::Facts> observe(engine::Engine& engine, const Wanted& wanted, const Deadline& deadline) {
  facts::Facts out;
  out.observed = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  out.project = wanted.project;
  DM_TRY(const auto info, engine.info(deadline));
  out.engine = engine_facts(info, engine.description());
  struct stat what {};
  const bool local = !wanted.socket.empty() && ::stat(info.root_dir.c_str(), &what) == 0;
  DM_TRY(const auto list, engine.containers({.labels = compose::of_project(wanted.project)}, deadline));
  for (const auto& entry : list) {
    const auto one = engine.container(entry.id, deadline);
    if (!one) {  // gone meanwhile, or the engine is in trouble
      if (one.error().code == Errc::not_found) continue;
      return fail(one.error());
    }
    auto container = container_facts(*one);
    if (local) see_kernel_side(*one, container);
    out.containers.push_back(std::move(container));
  }
  std::ranges::sort(out.containers, {}, &facts::Container::name);
  for (const auto& name : wanted.images) {
    if (name.empty() || out.image(name) != nullptr) continue;
    const auto image = engine.image(name, deadline);
    if (image) {
      out.images.push_back({name, image->id, image->user, !image->healthcheck.test.empty() && image->healthcheck.test[0] != "NONE"});
    } else if (image.error().code == Errc::not_found) {
      out.images.push_back({name, "", "", false});
    } else {
      out.unknown.push_back(image.error().describe());
    }
  }
  if (const auto networks = engine.networks({}, deadline)) {
    for (const auto& network : *networks) {
      if (network.driver == "bridge" && !network.subnets.empty()) ++out.engine.networks;
      const auto icc = network.options.find("com.docker.network.bridge.enable_icc");
      if (network.name == "bridge" && icc != network.options.end()) out.engine.default_bridge_icc = icc->second == "true";
    }
  } else {
    out.unknown.push_back(networks.error().describe());
  }
  if (const auto disk = engine.disk_usage(deadline.at_most(std::chrono::seconds(20)))) {
    out.engine.unused_images = signed_of(disk->unused_image_count);
    out.engine.unused_image_bytes = signed_of(disk->unused_images);
  } else {
    out.unknown.push_back(disk.error().describe());
  }
  if (local) {
    see_host(wanted, out);
  } else {
    out.unknown.emplace_back("the machine of the engine: it is not this one, so its disks, settings and files were not looked at");
  }
  return out;
}

}  // namespace dm::observe

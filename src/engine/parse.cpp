#include "engine/parse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

namespace dm::engine {
namespace {

using Json = nlohmann::json;

Result<Json> parse(std::string_view text, std::string_view what) {
  auto value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return fail(Errc::corrupt, fmt::format("the engine's answer about {} is not JSON", what));
  return value;
}

/// The member, or null; never throws.
const Json& at(const Json& object, const char* key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}
std::string text(const Json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }
std::string text(const Json& object, const char* key) { return text(at(object, key)); }
bool truth(const Json& object, const char* key, bool otherwise = false) {
  const auto& value = at(object, key);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}
std::int64_t integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    return number > static_cast<std::uint64_t>(INT64_MAX) ? INT64_MAX : static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) return static_cast<std::int64_t>(std::clamp(value.get<double>(), -9e18, 9e18));
  return 0;
}
std::int64_t integer(const Json& object, const char* key) { return integer(at(object, key)); }
std::uint64_t natural(const Json& object, const char* key) {
  const auto number = integer(at(object, key));
  return number < 0 ? 0 : static_cast<std::uint64_t>(number);
}
std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> out;
  if (list.is_string()) out.push_back(list.get<std::string>());
  if (list.is_array())
    for (const auto& entry : list)
      if (entry.is_string()) out.push_back(entry.get<std::string>());
  return out;
}
std::map<std::string, std::string> text_map(const Json& object) {
  std::map<std::string, std::string> out;
  if (object.is_object())
    for (const auto& [key, value] : object.items()) out[key] = text(value);
  return out;
}
std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> out;
  if (object.is_object())
    for (const auto& [key, value] : object.items()) out.push_back(key);
  return out;
}
std::string without_slash(std::string name) {
  if (name.starts_with('/')) name.erase(0, 1);
  return name;
}
std::int64_t any_time(const Json& value) { return value.is_string() ? parse_time(text(value)) : integer(value) * 1'000'000'000; }
std::uint16_t port_number(std::string_view digits) {
  unsigned number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') break;
    number = number * 10 + static_cast<unsigned>(c - '0');
    if (number > 65535) return 0;
  }
  return static_cast<std::uint16_t>(number);
}

std::vector<Mount> mounts_of(const Json& list) {
  std::vector<Mount> out;
  if (list.is_array())
    for (const auto& entry : list) out.push_back({text(entry, "Type"), text(entry, "Name"), text(entry, "Source"), text(entry, "Destination"), truth(entry, "RW", true)});
  return out;
}
std::map<std::string, Endpoint> networks_of(const Json& object) {
  std::map<std::string, Endpoint> out;
  if (object.is_object())
    for (const auto& [name, entry] : object.items())
      out[name] = {text(entry, "NetworkID"), texts(at(entry, "Aliases")), text(entry, "IPAddress"), text(entry, "GlobalIPv6Address"), text(entry, "Gateway")};
  return out;
}
/// {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
void ports_of(const Json& object, std::vector<Port>& out) {
  if (!object.is_object()) return;
  for (const auto& [key, list] : object.items()) {
    if (!list.is_array()) continue;
    const auto slash = key.find('/');
    for (const auto& entry : list) {
      auto address = text(entry, "HostIp");
      if (address.empty()) address = "0.0.0.0";
      out.push_back({port_number(key), port_number(text(entry, "HostPort")), address, slash == std::string::npos ? "tcp" : key.substr(slash + 1)});
    }
  }
}
Healthcheck healthcheck_of(const Json& object) {
  return {texts(at(object, "Test")), integer(object, "Interval"), integer(object, "Timeout"), integer(object, "StartPeriod"), integer(object, "StartInterval"),
          static_cast<unsigned>(natural(object, "Retries"))};
}
Health health_of(const Json& object) {
  Health out;
  out.status = text(object, "Status");
  if (out.status == "none") out.status.clear();
  out.failing_streak = static_cast<unsigned>(natural(object, "FailingStreak"));
  if (const auto& log = at(object, "Log"); log.is_array())
    for (const auto& entry : log) out.log.push_back({any_time(at(entry, "Start")), any_time(at(entry, "End")), static_cast<int>(integer(entry, "ExitCode")), text(entry, "Output")});
  return out;
}
Limits limits_of(const Json& host) {
  Limits out;
  out.memory = integer(host, "Memory");
  out.memory_swap = integer(host, "MemorySwap");
  out.memory_reservation = integer(host, "MemoryReservation");
  out.nano_cpus = integer(host, "NanoCpus");
  if (const auto quota = integer(host, "CpuQuota"), period = integer(host, "CpuPeriod"); out.nano_cpus == 0 && quota > 0)
    out.nano_cpus = quota * 1'000'000'000 / (period > 0 ? period : 100'000);
  out.cpu_shares = integer(host, "CpuShares");
  out.pids = std::max<std::int64_t>(integer(host, "PidsLimit"), 0);
  out.shm_size = integer(host, "ShmSize");
  out.oom_kill_disable = truth(host, "OomKillDisable");
  return out;
}
std::string health_in_status(std::string_view status) {
  if (status.find("(healthy)") != std::string_view::npos) return "healthy";
  if (status.find("(unhealthy)") != std::string_view::npos) return "unhealthy";
  if (status.find("(health: starting)") != std::string_view::npos || status.find("(starting)") != std::string_view::npos) return "starting";
  return {};
}
void image_config(const Json& config, Image& out) {
  out.user = text(config, "User");
  out.working_dir = text(config, "WorkingDir");
  out.env = texts(at(config, "Env"));
  out.command = texts(at(config, "Cmd"));
  out.entrypoint = texts(at(config, "Entrypoint"));
  out.healthcheck = healthcheck_of(at(config, "Healthcheck"));
  out.exposed = keys(at(config, "ExposedPorts"));
  out.volumes = keys(at(config, "Volumes"));
  out.labels = text_map(at(config, "Labels"));
  out.stop_signal = text(config, "StopSignal");
}
std::vector<std::string> no_none(std::vector<std::string> names) {
  std::erase_if(names, [](const std::string& name) { return name == "<none>:<none>" || name == "<none>@<none>"; });
  return names;
}
Network network_of(const Json& value) {
  Network out;
  out.id = text(value, "Id");
  if (out.id.empty()) out.id = text(value, "id");
  out.name = text(value, "Name");
  out.driver = text(value, "Driver");
  out.scope = text(value, "Scope");
  out.internal = truth(value, "Internal");
  out.attachable = truth(value, "Attachable");
  out.ipv6 = truth(value, "EnableIPv6");
  if (const auto& list = at(at(value, "IPAM"), "Config"); list.is_array())
    for (const auto& entry : list)
      if (auto subnet = text(entry, "Subnet"); !subnet.empty()) out.subnets.push_back(std::move(subnet));
  out.options = text_map(at(value, "Options"));
  out.labels = text_map(at(value, "Labels"));
  out.created = any_time(at(value, "Created"));
  return out;
}
Volume volume_of(const Json& value) {
  return {text(value, "Name"), text(value, "Driver"), text(value, "Mountpoint"), text_map(at(value, "Options")), text_map(at(value, "Labels")), any_time(at(value, "CreatedAt"))};
}

}  // namespace

void add_podman_log(std::string_view json, Container& out) {
  const auto value = Json::parse(json, nullptr, false);
  if (value.is_discarded()) return;
  const auto size = text(at(at(value, "HostConfig"), "LogConfig"), "Size");
  if (size.find_first_of("123456789") == 0) out.log_options["max-size"] = size;  // "0B", "-1B": none
}

std::int64_t parse_time(std::string_view time) {
  std::tm parts{};
  const std::string copy(time);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr || parts.tm_year < 70) return 0;
  std::int64_t nanos = 0;
  if (*rest == '.') {
    std::int64_t unit = 100'000'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) nanos += (*rest - '0') * unit;
  }
  std::int64_t offset = 0;
  if ((*rest == '+' || *rest == '-') && std::string_view(rest).size() >= 6) {
    offset = ((rest[1] - '0') * 10 + (rest[2] - '0')) * 3600 + ((rest[4] - '0') * 10 + (rest[5] - '0')) * 60;
    if (*rest == '-') offset = -offset;
  }
  return (static_cast<std::int64_t>(::timegm(&parts)) - offset) * 1'000'000'000 + nanos;
}

Result<VersionAnswer> parse_version(std::string_view json) {
  DM_TRY(const Json value, parse(json, "its version"));
  VersionAnswer out{"Docker", text(value, "Version"), text(value, "ApiVersion"), text(value, "MinAPIVersion")};
  if (const auto& parts = at(value, "Components"); parts.is_array())
    for (const auto& part : parts)
      if (text(part, "Name").find("Podman") != std::string::npos) out.product = "Podman";
  if (out.api.empty()) return fail(Errc::corrupt, "this is not a container engine: its /version names no API version");
  return out;
}

Result<Info> parse_info(std::string_view json) {
  DM_TRY(const Json value, parse(json, "itself"));
  Info out;
  out.id = text(value, "ID");
  out.name = text(value, "Name");
  out.server_version = text(value, "ServerVersion");
  out.os = text(value, "OSType");
  out.arch = text(value, "Architecture");
  out.kernel = text(value, "KernelVersion");
  out.operating_system = text(value, "OperatingSystem");
  out.storage_driver = text(value, "Driver");
  out.cgroup_driver = text(value, "CgroupDriver");
  out.cgroup_version = port_number(text(value, "CgroupVersion"));
  out.root_dir = text(value, "DockerRootDir");
  out.runtimes = keys(at(value, "Runtimes"));
  out.default_runtime = text(value, "DefaultRuntime");
  out.memory = natural(value, "MemTotal");
  out.cpus = static_cast<unsigned>(natural(value, "NCPU"));
  out.security_options = texts(at(value, "SecurityOptions"));
  for (const auto& option : out.security_options) {
    if (option.find("name=rootless") != std::string::npos) out.rootless = true;
    if (option.find("name=userns") != std::string::npos) out.userns_remap = true;
  }
  if (truth(value, "Rootless")) out.rootless = true;  // Podman
  out.log_driver = text(value, "LoggingDriver");
  out.live_restore = truth(value, "LiveRestoreEnabled");
  out.experimental = truth(value, "ExperimentalBuild");
  out.swarm = text(at(value, "Swarm"), "LocalNodeState") == "active";
  out.ip_forward = truth(value, "IPv4Forwarding", true);
  out.bridge_iptables = truth(value, "BridgeNfIptables", true);
  out.swap_limit = truth(value, "SwapLimit", true);
  out.authorization = texts(at(at(value, "Plugins"), "Authorization"));
  const auto& registry = at(value, "RegistryConfig");
  for (auto& cidr : texts(at(registry, "InsecureRegistryCIDRs")))
    if (cidr != "127.0.0.0/8" && cidr != "::1/128") out.insecure_registries.push_back(std::move(cidr));
  if (const auto& indexes = at(registry, "IndexConfigs"); indexes.is_object())
    for (const auto& [name, index] : indexes.items())
      if (!truth(index, "Secure", true)) out.insecure_registries.push_back(name);
  out.warnings = texts(at(value, "Warnings"));
  if (const auto& pools = at(value, "DefaultAddressPools"); pools.is_array())
    for (const auto& pool : pools) out.address_pools.emplace_back(text(pool, "Base"), integer(pool, "Size"));
  out.system_time = parse_time(text(value, "SystemTime"));
  out.containers = natural(value, "Containers");
  out.running = natural(value, "ContainersRunning");
  out.images = natural(value, "Images");
  return out;
}

Result<std::vector<ContainerSummary>> parse_containers(std::string_view json) {
  DM_TRY(const Json value, parse(json, "its containers"));
  if (!value.is_array()) return fail(Errc::corrupt, "the engine's list of containers is no list");
  std::vector<ContainerSummary> out;
  for (const auto& entry : value) {
    ContainerSummary one;
    one.id = text(entry, "Id");
    for (auto& name : texts(at(entry, "Names")))
      if (one.name.empty() || std::ranges::count(name, '/') == 1) one.name = without_slash(std::move(name));
    one.image = text(entry, "Image");
    one.image_id = text(entry, "ImageID");
    one.labels = text_map(at(entry, "Labels"));
    one.state = text(entry, "State");
    one.status = text(entry, "Status");
    one.health = text(at(entry, "Health"), "Status");
    if (one.health == "none") one.health.clear();
    if (one.health.empty()) one.health = health_in_status(one.status);
    one.created = any_time(at(entry, "Created"));
    if (const auto& ports = at(entry, "Ports"); ports.is_array())
      for (const auto& port : ports)
        one.ports.push_back({static_cast<std::uint16_t>(natural(port, "PrivatePort")), static_cast<std::uint16_t>(natural(port, "PublicPort")), text(port, "IP"), text(port, "Type")});
    one.mounts = mounts_of(at(entry, "Mounts"));
    one.networks = networks_of(at(at(entry, "NetworkSettings"), "Networks"));
    out.push_back(std::move(one));
  }
  return out;
}

Result<Container> parse_container(std::string_view json) {
  DM_TRY(const Json value, parse(json, "a container"));
  Container out;
  out.id = text(value, "Id");
  if (out.id.empty()) return fail(Errc::corrupt, "the engine's answer about a container has no id");
  out.name = without_slash(text(value, "Name"));
  out.image_id = text(value, "Image");
  out.created = any_time(at(value, "Created"));
  out.restart_count = static_cast<unsigned>(natural(value, "RestartCount"));
  out.log_path = text(value, "LogPath");
  const auto& state = at(value, "State");
  out.state = text(state, "Status");
  out.running = truth(state, "Running");
  out.paused = truth(state, "Paused");
  out.restarting = truth(state, "Restarting");
  out.oom_killed = truth(state, "OOMKilled");
  out.dead = truth(state, "Dead");
  out.exit_code = static_cast<int>(integer(state, "ExitCode"));
  out.error = text(state, "Error");
  out.pid = integer(state, "Pid");
  out.started = any_time(at(state, "StartedAt"));
  out.finished = any_time(at(state, "FinishedAt"));
  out.health = health_of(at(state, "Health").is_null() ? at(state, "Healthcheck") : at(state, "Health"));
  const auto& config = at(value, "Config");
  out.image = text(config, "Image");
  out.labels = text_map(at(config, "Labels"));
  out.command = texts(at(config, "Cmd"));
  out.entrypoint = texts(at(config, "Entrypoint"));
  out.env = texts(at(config, "Env"));
  out.user = text(config, "User");
  out.working_dir = text(config, "WorkingDir");
  out.hostname = text(config, "Hostname");
  out.tty = truth(config, "Tty");
  out.open_stdin = truth(config, "OpenStdin");
  out.healthcheck = healthcheck_of(at(config, "Healthcheck"));
  out.stop_signal = text(config, "StopSignal");
  out.stop_timeout = static_cast<int>(integer(config, "StopTimeout"));
  const auto& host = at(value, "HostConfig");
  out.read_only = truth(host, "ReadonlyRootfs");
  out.privileged = truth(host, "Privileged");
  out.init = truth(host, "Init");
  out.cap_add = texts(at(host, "CapAdd"));
  out.cap_drop = texts(at(host, "CapDrop"));
  out.security_opt = texts(at(host, "SecurityOpt"));
  out.network_mode = text(host, "NetworkMode");
  out.pid_mode = text(host, "PidMode");
  out.ipc_mode = text(host, "IpcMode");
  out.cgroup_parent = text(host, "CgroupParent");
  out.runtime = text(host, "Runtime");
  const auto& restart = at(host, "RestartPolicy");
  out.restart = {text(restart, "Name").empty() ? "no" : text(restart, "Name"), static_cast<int>(integer(restart, "MaximumRetryCount"))};
  out.limits = limits_of(host);
  out.log_driver = text(at(host, "LogConfig"), "Type");
  out.log_options = text_map(at(at(host, "LogConfig"), "Config"));
  const auto& settings = at(value, "NetworkSettings");
  ports_of(at(settings, "Ports"), out.ports);
  if (out.ports.empty()) ports_of(at(host, "PortBindings"), out.ports);
  out.mounts = mounts_of(at(value, "Mounts"));
  out.networks = networks_of(at(settings, "Networks"));
  return out;
}

Result<std::vector<Image>> parse_images(std::string_view json) {
  DM_TRY(const Json value, parse(json, "its images"));
  std::vector<Image> out;
  if (!value.is_array()) return fail(Errc::corrupt, "the engine's list of images is no list");
  for (const auto& entry : value) {
    Image one;
    one.id = text(entry, "Id");
    one.tags = no_none(texts(at(entry, "RepoTags")));
    one.digests = no_none(texts(at(entry, "RepoDigests")));
    one.created = any_time(at(entry, "Created"));
    one.size = natural(entry, "Size");
    one.labels = text_map(at(entry, "Labels"));
    out.push_back(std::move(one));
  }
  return out;
}

Result<Image> parse_image(std::string_view json) {
  DM_TRY(const Json value, parse(json, "an image"));
  Image out;
  out.id = text(value, "Id");
  if (out.id.empty()) return fail(Errc::corrupt, "the engine's answer about an image has no id");
  out.tags = no_none(texts(at(value, "RepoTags")));
  out.digests = no_none(texts(at(value, "RepoDigests")));
  out.created = any_time(at(value, "Created"));
  out.tagged = std::max<std::int64_t>(any_time(at(at(value, "Metadata"), "LastTagTime")), 0);  // never tagged: the year 1
  out.size = natural(value, "Size");
  out.os = text(value, "Os");
  out.arch = text(value, "Architecture");
  image_config(at(value, "Config"), out);
  return out;
}

Result<std::vector<Network>> parse_networks(std::string_view json) {
  DM_TRY(const Json value, parse(json, "its networks"));
  if (!value.is_array()) return fail(Errc::corrupt, "the engine's list of networks is no list");
  std::vector<Network> out;
  for (const auto& entry : value) out.push_back(network_of(entry));
  return out;
}

Result<Network> parse_network(std::string_view json) {
  DM_TRY(const Json value, parse(json, "a network"));
  return network_of(value);
}

Result<std::vector<Volume>> parse_volumes(std::string_view json) {
  DM_TRY(const Json value, parse(json, "its volumes"));
  std::vector<Volume> out;
  if (const auto& list = at(value, "Volumes"); list.is_array())
    for (const auto& entry : list) out.push_back(volume_of(entry));
  return out;
}

Result<Volume> parse_volume(std::string_view json) {
  DM_TRY(const Json value, parse(json, "a volume"));
  return volume_of(value);
}

Result<Event> parse_event(std::string_view json) {
  DM_TRY(const Json value, parse(json, "an event"));
  if (!value.is_object()) return fail(Errc::corrupt, "an event of the engine is no object");
  Event out;
  out.time = integer(value, "timeNano");
  if (out.time == 0) out.time = integer(value, "time") * 1'000'000'000;
  out.type = text(value, "Type");
  out.action = text(value, "Action");
  const auto& actor = at(value, "Actor");
  out.id = text(actor, "ID");
  out.attributes = text_map(at(actor, "Attributes"));
  return out;
}

Result<Stats> parse_stats(std::string_view json) {
  DM_TRY(const Json value, parse(json, "a container's use"));
  Stats out;
  out.read = parse_time(text(value, "read"));
  const auto& cpu = at(value, "cpu_stats");
  out.cpu_total = natural(at(cpu, "cpu_usage"), "total_usage");
  const auto& throttling = at(cpu, "throttling_data");
  out.periods = natural(throttling, "periods");
  out.throttled_periods = natural(throttling, "throttled_periods");
  out.throttled_time = natural(throttling, "throttled_time");
  const auto& memory = at(value, "memory_stats");
  out.memory_usage = natural(memory, "usage");
  out.memory_limit = natural(memory, "limit");
  const auto& details = at(memory, "stats");
  const auto inactive = at(details, "total_inactive_file").is_null() ? natural(details, "inactive_file") : natural(details, "total_inactive_file");
  out.working_set = inactive < out.memory_usage ? out.memory_usage - inactive : out.memory_usage;
  out.pids = natural(at(value, "pids_stats"), "current");
  if (const auto& networks = at(value, "networks"); networks.is_object())
    for (const auto& [name, entry] : networks.items()) {
      out.rx_bytes += natural(entry, "rx_bytes");
      out.tx_bytes += natural(entry, "tx_bytes");
    }
  if (const auto& list = at(at(value, "blkio_stats"), "io_service_bytes_recursive"); list.is_array())
    for (const auto& entry : list) {
      const auto kind = text(entry, "op");
      if (kind == "Read" || kind == "read") out.read_bytes += natural(entry, "value");
      if (kind == "Write" || kind == "write") out.write_bytes += natural(entry, "value");
    }
  return out;
}

Result<DiskUsage> parse_disk_usage(std::string_view json) {
  DM_TRY(const Json value, parse(json, "its disk use"));
  DiskUsage out;
  out.images = natural(value, "LayersSize");
  if (const auto& list = at(value, "Images"); list.is_array())
    for (const auto& entry : list)
      if (integer(entry, "Containers") == 0) {
        ++out.unused_image_count;
        out.unused_images += natural(entry, "Size") - std::min(natural(entry, "SharedSize"), natural(entry, "Size"));
      }
  if (const auto& list = at(value, "Containers"); list.is_array())
    for (const auto& entry : list) out.containers += natural(entry, "SizeRw");
  if (const auto& list = at(value, "BuildCache"); list.is_array())
    for (const auto& entry : list)
      if (!truth(entry, "Shared")) out.build_cache += natural(entry, "Size");
  if (const auto& list = at(value, "Volumes"); list.is_array())
    for (const auto& entry : list) {
      const auto& size = at(at(entry, "UsageData"), "Size");
      out.volumes[text(entry, "Name")] = size.is_number() ? integer(size) : -1;
    }
  return out;
}

Result<Stat> parse_stat(std::string_view base64) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string json;
  unsigned bits = 0, held = 0;
  for (const char c : base64) {
    const auto index = kAlphabet.find(c);
    if (index == std::string_view::npos) break;
    bits = (bits << 6U) | static_cast<unsigned>(index);
    held += 6;
    if (held >= 8) {
      held -= 8;
      json += static_cast<char>((bits >> held) & 0xffU);
    }
  }
  DM_TRY(const Json value, parse(json, "a path"));
  const auto mode = natural(value, "mode");  // Go's os.FileMode
  Stat out;
  out.name = text(value, "name");
  out.size = natural(value, "size");
  out.mode = static_cast<std::uint32_t>(mode & 0777U) | ((mode & (1U << 23U)) != 0 ? 04000U : 0U) | ((mode & (1U << 22U)) != 0 ? 02000U : 0U) | ((mode & (1U << 20U)) != 0 ? 01000U : 0U);
  out.folder = (mode & (1U << 31U)) != 0;
  out.symlink = (mode & (1U << 27U)) != 0;
  out.link_target = text(value, "linkTarget");
  return out;
}

Result<ExecState> parse_exec_state(std::string_view json) {
  DM_TRY(const Json value, parse(json, "an exec"));
  return ExecState{truth(value, "Running"), at(value, "ExitCode").is_number(), static_cast<int>(integer(value, "ExitCode")), integer(value, "Pid")};
}

Result<std::vector<std::pair<std::int64_t, std::string>>> parse_top(std::string_view json) {
  DM_TRY(const Json value, parse(json, "processes"));
  const auto titles = texts(at(value, "Titles"));
  const auto pid = static_cast<std::size_t>(std::ranges::find(titles, "PID") - titles.begin());
  std::vector<std::pair<std::int64_t, std::string>> out;
  if (const auto& list = at(value, "Processes"); list.is_array())
    for (const auto& row : list) {
      const auto cells = texts(row);
      if (pid < cells.size() && !cells.empty()) out.emplace_back(std::strtoll(cells[pid].c_str(), nullptr, 10), cells.back());
    }
  return out;
}

Result<std::string> parse_id(std::string_view json) {
  DM_TRY(const Json value, parse(json, "what it made"));
  auto id = text(value, "Id");
  if (id.empty()) return fail(Errc::corrupt, "the engine's answer has no id");
  return id;
}

Result<int> parse_wait(std::string_view json) {
  DM_TRY(const Json value, parse(json, "an exit"));
  if (auto message = text(at(value, "Error"), "Message"); !message.empty()) return fail(Errc::failed, std::move(message));
  if (!at(value, "StatusCode").is_number()) return fail(Errc::corrupt, "the engine gave no exit code");
  return static_cast<int>(integer(value, "StatusCode"));
}

std::string parse_message(std::string_view body) {
  const auto value = Json::parse(body, nullptr, false);
  auto message = value.is_discarded() ? std::string() : text(value, "message");
  if (message.empty() && !value.is_discarded()) message = text(value, "cause");  // Podman
  if (message.empty()) message = std::string(body.substr(0, 500));
  while (!message.empty() && (message.back() == '\n' || message.back() == '\r' || message.back() == ' ')) message.pop_back();
  return message;
}

}  // namespace dm::engine

#include "compose/project.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "compose/units.hpp"

namespace dm::compose {
namespace {

Text text_of(const Value* value) { return value != nullptr && value->is_scalar() && !value->is_null() ? Text{value->text, value} : Text{}; }

std::vector<Text> list_of(const Value* value) {
  std::vector<Text> out;
  if (value != nullptr && value->is_sequence())
    for (const Value* item : *value->items)
      if (item->is_scalar()) out.push_back({item->text, item});
  if (value != nullptr && value->is_string()) out.push_back({value->text, value});
  return out;
}

bool truth(const Value* value) { return value != nullptr && value->kind == Kind::boolean && value->boolean; }

std::optional<std::int64_t> whole(const Value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->kind == Kind::integer) return value->integer;
  std::int64_t number = 0;
  if (value->is_string() && std::from_chars(value->text.data(), value->text.data() + value->text.size(), number).ec == std::errc())
    return number;
  return std::nullopt;
}

std::optional<double> number(const Value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->kind == Kind::real) return value->real;
  if (value->kind == Kind::integer) return static_cast<double>(value->integer);
  double parsed = 0;
  if (value->is_string() && std::from_chars(value->text.data(), value->text.data() + value->text.size(), parsed).ec == std::errc())
    return parsed;
  return std::nullopt;
}

std::optional<std::chrono::nanoseconds> duration(const Value* value) {
  return value != nullptr && value->is_string() ? parse_duration(value->text) : std::nullopt;
}

std::string_view part(const Value& node, std::string_view key) {
  const Value* value = node.find(key);
  return value != nullptr ? value->string() : std::string_view();
}

Limits limits(const Value* node) {
  Limits out;
  if (node == nullptr || !node->is_mapping()) return out;
  out.memory_node = node->find("memory");
  out.cpus_node = node->find("cpus");
  out.pids_node = node->find("pids");
  if (const auto bytes = whole(out.memory_node)) out.memory = static_cast<std::uint64_t>(*bytes);
  out.cpus = number(out.cpus_node);
  out.pids = whole(out.pids_node);
  return out;
}

void read_mounts(const Value& node, Service& service) {
  if (const Value* volumes = node.find("volumes"); volumes != nullptr && volumes->is_sequence()) {
    for (const Value* item : *volumes->items) {
      if (!item->is_mapping()) continue;
      Mount mount;
      const auto type = part(*item, "type");
      mount.type = type == "bind" ? Mount::Type::bind : type == "volume" ? Mount::Type::volume : type == "tmpfs" ? Mount::Type::tmpfs : Mount::Type::other;
      mount.source = part(*item, "source");
      mount.target = part(*item, "target");
      mount.read_only = truth(item->find("read_only"));
      mount.create_host_path = truth(item->at({"bind", "create_host_path"}));
      mount.where = item->where;
      service.mounts.push_back(mount);
    }
  }
  for (const Text& item : list_of(node.find("tmpfs")))
    service.mounts.push_back({Mount::Type::tmpfs, {}, item.value.substr(0, item.value.find(':')), false, false, item.where()});
}

void read_health(const Value& node, Service& service) {
  const Value* value = node.find("healthcheck");
  if (value == nullptr || !value->is_mapping()) return;
  Healthcheck check;
  check.node = value;
  check.test = list_of(value->find("test"));
  check.disabled = truth(value->find("disable")) || (!check.test.empty() && check.test[0].value == "NONE");
  check.interval = duration(value->find("interval"));
  check.timeout = duration(value->find("timeout"));
  check.start_period = duration(value->find("start_period"));
  check.start_interval = duration(value->find("start_interval"));
  check.retries = whole(value->find("retries"));
  service.healthcheck = std::move(check);
}

void read_networks(const Value& node, Service& service) {
  const Value* networks = node.find("networks");
  if (networks == nullptr || !networks->is_mapping()) return;
  for (const Entry& entry : *networks->entries) {
    NetworkUse use;
    use.network = entry.key;
    use.aliases = list_of(entry.value->find("aliases"));
    use.ipv4 = text_of(entry.value->find("ipv4_address"));
    use.ipv6 = text_of(entry.value->find("ipv6_address"));
    use.where = entry.key_where;
    service.networks.push_back(std::move(use));
  }
}

void read_lists(const Value& node, Service& service) {
  if (const Value* variables = node.find("environment"); variables != nullptr && variables->is_mapping())
    for (const Entry& entry : *variables->entries)
      service.environment.push_back({entry.key, {entry.value->text, entry.value}, entry.key_where, false});
  if (const Value* ports = node.find("ports"); ports != nullptr && ports->is_sequence())
    for (const Value* item : *ports->items)
      service.ports.push_back({part(*item, "host_ip"), part(*item, "published"),
                               static_cast<std::uint32_t>(whole(item->find("target")).value_or(0)), part(*item, "protocol"), item->where});
  if (const Value* depends = node.find("depends_on"); depends != nullptr && depends->is_mapping())
    for (const Entry& entry : *depends->entries)
      service.depends_on.push_back({entry.key, part(*entry.value, "condition"), entry.value->find("required") == nullptr || truth(entry.value->find("required")),
                                    truth(entry.value->find("restart")), false, entry.key_where});
  if (const Value* labels = node.find("labels"); labels != nullptr && labels->is_mapping())
    for (const Entry& entry : *labels->entries) service.labels.emplace_back(entry.key, Text{entry.value->text, entry.value});
  const auto uses = [&](std::string_view key, std::vector<FileUse>& out) {
    const Value* list = node.find(key);
    if (list == nullptr || !list->is_sequence()) return;
    for (const Value* item : *list->items) out.push_back({part(*item, "source"), part(*item, "target"), part(*item, "uid"), part(*item, "gid"), part(*item, "mode"), item->where});
  };
  uses("secrets", service.secrets);
  uses("configs", service.configs);
  if (const Value* devices = node.find("devices"); devices != nullptr && devices->is_sequence())
    for (const Value* item : *devices->items)
      if (const Value* source = item->find("source"); source != nullptr) service.devices.push_back({source->text, source});
  if (const Value* files = node.find("env_file"); files != nullptr && files->is_sequence())
    for (const Value* item : *files->items)
      if (const Value* path = item->find("path"); path != nullptr) service.env_files.push_back({path->text, path});
}

Service read_service(const Entry& entry) {
  const Value& node = *entry.value;
  Service out;
  out.name = entry.key;
  out.where = entry.key_where;
  out.node = &node;
  out.profiles = list_of(node.find("profiles"));
  out.image = text_of(node.find("image"));
  out.container_name = text_of(node.find("container_name"));
  out.hostname = text_of(node.find("hostname"));
  out.restart = text_of(node.find("restart"));
  out.user = text_of(node.find("user"));
  out.network_mode = text_of(node.find("network_mode"));
  out.stop_grace_period = text_of(node.find("stop_grace_period"));
  out.pid = text_of(node.find("pid"));
  out.ipc = text_of(node.find("ipc"));
  out.build = node.find("build");
  out.privileged = truth(node.find("privileged"));
  out.read_only = truth(node.find("read_only"));
  out.tty = truth(node.find("tty"));
  if (const Value* init = node.find("init"); init != nullptr && init->kind == Kind::boolean) out.init = init->boolean;
  out.command_node = node.find("command");
  out.entrypoint_node = node.find("entrypoint");
  if (out.command_node != nullptr && out.command_node->is_null()) out.command_node = nullptr;
  if (out.entrypoint_node != nullptr && out.entrypoint_node->is_null()) out.entrypoint_node = nullptr;
  out.command = list_of(out.command_node);
  out.entrypoint = list_of(out.entrypoint_node);
  out.expose = list_of(node.find("expose"));
  out.cap_add = list_of(node.find("cap_add"));
  out.cap_drop = list_of(node.find("cap_drop"));
  out.security_opt = list_of(node.find("security_opt"));
  out.dns = list_of(node.find("dns"));
  out.extra_hosts = list_of(node.find("extra_hosts"));
  out.volumes_from = list_of(node.find("volumes_from"));
  read_lists(node, out);
  read_mounts(node, out);
  read_health(node, out);
  read_networks(node, out);
  out.limits = limits(node.at({"deploy", "resources", "limits"}));
  out.reservations = limits(node.at({"deploy", "resources", "reservations"}));
  if (!out.limits.memory) {
    out.limits.memory_node = node.find("mem_limit");
    if (const auto bytes = whole(out.limits.memory_node)) out.limits.memory = static_cast<std::uint64_t>(*bytes);
  }
  if (!out.limits.cpus) out.limits.cpus = number(out.limits.cpus_node = node.find("cpus"));
  if (!out.limits.pids) out.limits.pids = whole(out.limits.pids_node = node.find("pids_limit"));
  return out;
}

template <class F>
void each(const Project& project, std::string_view section, F&& body) {
  const Value* all = project.model->find(section);
  if (all == nullptr || !all->is_mapping()) return;
  for (const Entry& entry : *all->entries) body(entry);
}

template <class T>
const T* by_key(const std::vector<T>& all, std::string_view key) {
  const auto found = std::ranges::find(all, key, &T::key);
  return found != all.end() ? &*found : nullptr;
}

}  // namespace

const EnvVar* Service::env(std::string_view variable) const {
  const auto found = std::ranges::find(environment, variable, &EnvVar::name);
  return found != environment.end() ? &*found : nullptr;
}

const Service* Project::service(std::string_view service_name) const {
  const auto found = service_index.find(service_name);
  return found != service_index.end() ? &services[found->second] : nullptr;
}
const Network* Project::network(std::string_view key) const { return by_key(networks, key); }
const Volume* Project::volume(std::string_view key) const { return by_key(volumes, key); }

void read_project(Project& project) {
  if (const Value* services = project.model->find("services"); services != nullptr && services->is_mapping()) project.services.reserve(services->entries->size());
  const std::set<std::string_view> chosen(project.profiles.begin(), project.profiles.end());
  each(project, "services", [&](const Entry& entry) {
    if (!entry.value->is_mapping()) return;
    project.service_index.emplace(entry.key, project.services.size());
    Service service = read_service(entry);
    service.enabled = service.profiles.empty() || chosen.contains("*") ||
                      std::ranges::any_of(service.profiles, [&](const Text& profile) { return chosen.contains(profile.value); });
    project.services.push_back(std::move(service));
  });
  each(project, "networks", [&](const Entry& entry) {
    const Value& node = *entry.value;
    project.networks.push_back({entry.key, part(node, "name"), part(node, "driver"), truth(node.find("external")), truth(node.find("internal")), &node, entry.key_where});
  });
  each(project, "volumes", [&](const Entry& entry) {
    const Value& node = *entry.value;
    const Value* device = node.at({"driver_opts", "device"});
    project.volumes.push_back({entry.key, part(node, "name"), part(node, "driver"), truth(node.find("external")),
                               device != nullptr ? device->string() : std::string_view(), &node, entry.key_where});
  });
  const auto resources = [&](std::string_view section, std::vector<Resource>& out) {
    each(project, section, [&](const Entry& entry) {
      const Value& node = *entry.value;
      out.push_back({entry.key, part(node, "file"), part(node, "environment"), truth(node.find("external")), &node, entry.key_where});
    });
  };
  resources("secrets", project.secrets);
  resources("configs", project.configs);
}

}  // namespace dm::compose

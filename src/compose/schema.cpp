/// The Compose schema as a table of ours: which keys there are and what kind of value each takes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compose/stages.hpp"

namespace dm::compose {
namespace {

/// Kinds, one letter each: s string, i integer, n number, b boolean, l list, m map, 0 null allowed, * anything.
struct Key {
  std::string_view name;
  std::string_view kinds;
};

constexpr Key kRoot[] = {{"version", "s"}, {"name", "s"}, {"include", "l0"}, {"services", "m"}, {"networks", "m"},
                         {"volumes", "m"}, {"secrets", "m"}, {"configs", "m"}, {"models", "m"}};

constexpr Key kService[] = {
    {"annotations", "lm"}, {"attach", "bs"}, {"blkio_config", "m"}, {"build", "sm"}, {"cap_add", "l"}, {"cap_drop", "l"},
    {"cgroup", "s"}, {"cgroup_parent", "s"}, {"command", "sl0"}, {"configs", "l"}, {"container_name", "s"},
    {"cpu_count", "is"}, {"cpu_percent", "i"}, {"cpu_period", "ns"}, {"cpu_quota", "ns"}, {"cpu_rt_period", "ns"},
    {"cpu_rt_runtime", "ns"}, {"cpu_shares", "ns"}, {"cpus", "ns"}, {"cpuset", "s"}, {"credential_spec", "m"},
    {"depends_on", "lm"}, {"deploy", "m0"}, {"develop", "m0"}, {"device_cgroup_rules", "l"}, {"devices", "l"}, {"dns", "sl"},
    {"dns_opt", "l"}, {"dns_search", "sl"}, {"domainname", "s"}, {"entrypoint", "sl0"}, {"env_file", "sl"},
    {"environment", "lm"}, {"expose", "l"}, {"extends", "sm"}, {"external_links", "l"}, {"extra_hosts", "lm"}, {"gpus", "sl"},
    {"group_add", "l"}, {"healthcheck", "m"}, {"hostname", "s"}, {"image", "s"}, {"init", "bs"}, {"ipc", "s"},
    {"isolation", "s"}, {"label_file", "sl"}, {"labels", "lm"}, {"links", "l"}, {"logging", "m"}, {"mac_address", "s"},
    {"mem_limit", "ns"}, {"mem_reservation", "sn"}, {"mem_swappiness", "is"}, {"memswap_limit", "ns"}, {"models", "lm"},
    {"network_mode", "s"}, {"networks", "lm"}, {"oom_kill_disable", "bs"}, {"oom_score_adj", "is"}, {"pid", "s0"},
    {"pids_limit", "ns"}, {"platform", "s"}, {"ports", "l"}, {"post_start", "l"}, {"pre_stop", "l"}, {"privileged", "bs"},
    {"profiles", "l"}, {"provider", "m"}, {"pull_policy", "s"}, {"pull_refresh_after", "s"}, {"read_only", "bs"},
    {"restart", "s"}, {"runtime", "s"}, {"scale", "is"}, {"secrets", "l"}, {"security_opt", "l"}, {"shm_size", "ns"},
    {"stdin_open", "bs"}, {"stop_grace_period", "s"}, {"stop_signal", "s"}, {"storage_opt", "m"}, {"sysctls", "lm"},
    {"tmpfs", "sl"}, {"tty", "bs"}, {"ulimits", "m"}, {"use_api_socket", "b"}, {"user", "s"}, {"userns_mode", "s"}, {"uts", "s"},
    {"volumes", "l"}, {"volumes_from", "l"}, {"working_dir", "s"}};

constexpr Key kHealth[] = {{"disable", "bs"}, {"interval", "s"}, {"retries", "ns"}, {"test", "sl"}, {"timeout", "s"},
                           {"start_period", "s"}, {"start_interval", "s"}};
constexpr Key kBuild[] = {{"context", "s"}, {"dockerfile", "s"}, {"dockerfile_inline", "s"}, {"entitlements", "l"}, {"args", "lm"},
                          {"ssh", "lm"}, {"labels", "lm"}, {"cache_from", "l"}, {"cache_to", "l"}, {"no_cache", "bs"},
                          {"no_cache_filter", "sl"}, {"additional_contexts", "lm"}, {"network", "s"}, {"provenance", "sb"}, {"sbom", "sb"},
                          {"pull", "bs"}, {"target", "s"}, {"shm_size", "is"}, {"extra_hosts", "lm"}, {"isolation", "s"},
                          {"privileged", "bs"}, {"secrets", "l"}, {"tags", "l"}, {"ulimits", "m"}, {"platforms", "l"}};
constexpr Key kDeploy[] = {{"mode", "s"}, {"endpoint_mode", "s"}, {"replicas", "is"}, {"labels", "lm"}, {"rollback_config", "m"},
                           {"update_config", "m"}, {"resources", "m"}, {"restart_policy", "m"}, {"placement", "m"}};
constexpr Key kResources[] = {{"limits", "m"}, {"reservations", "m"}};
constexpr Key kLimits[] = {{"cpus", "ns"}, {"memory", "s"}, {"pids", "is"}};
constexpr Key kReservations[] = {{"cpus", "ns"}, {"memory", "s"}, {"generic_resources", "l"}, {"devices", "l"}};
constexpr Key kLogging[] = {{"driver", "s"}, {"options", "m"}};
constexpr Key kNetwork[] = {{"name", "s"}, {"driver", "s"}, {"driver_opts", "m"}, {"ipam", "m"}, {"external", "bsm"}, {"internal", "bs"},
                            {"enable_ipv4", "bs"}, {"enable_ipv6", "bs"}, {"attachable", "bs"}, {"labels", "lm"}};
constexpr Key kVolume[] = {{"name", "s"}, {"driver", "s"}, {"driver_opts", "m"}, {"external", "bsm"}, {"labels", "lm"}};
constexpr Key kSecret[] = {{"name", "s"}, {"environment", "s"}, {"file", "s"}, {"external", "bsm"}, {"labels", "lm"}, {"driver", "s"},
                           {"driver_opts", "m"}, {"template_driver", "s"}};
constexpr Key kConfig[] = {{"name", "s"}, {"content", "s"}, {"environment", "s"}, {"file", "s"}, {"external", "bsm"}, {"labels", "lm"},
                           {"template_driver", "s"}};
constexpr Key kPort[] = {{"name", "s"}, {"mode", "s"}, {"host_ip", "s"}, {"target", "is"}, {"published", "si"}, {"protocol", "s"}, {"app_protocol", "s"}};
constexpr Key kMount[] = {{"type", "s"}, {"source", "s"}, {"target", "s"}, {"read_only", "bs"}, {"consistency", "s"}, {"bind", "m"},
                          {"volume", "m"}, {"tmpfs", "m"}, {"image", "m"}};
constexpr Key kFileUse[] = {{"source", "s"}, {"target", "s"}, {"uid", "s"}, {"gid", "s"}, {"mode", "ns"}};
constexpr Key kDevice[] = {{"capabilities", "l"}, {"count", "si"}, {"device_ids", "l"}, {"driver", "s"}, {"options", "lm"}};
constexpr Key kIpam[] = {{"driver", "s"}, {"config", "l"}, {"options", "m"}};
constexpr Key kIpamConfig[] = {{"subnet", "s"}, {"ip_range", "s"}, {"gateway", "s"}, {"aux_addresses", "m"}};
constexpr Key kServiceNetwork[] = {{"aliases", "l"}, {"interface_name", "s"}, {"ipv4_address", "s"}, {"ipv6_address", "s"},
                                   {"link_local_ips", "l"}, {"mac_address", "s"}, {"driver_opts", "m"}, {"priority", "n"}, {"gw_priority", "n"}};
constexpr Key kDependency[] = {{"restart", "bs"}, {"required", "b"}, {"condition", "s"}};

char letter(const Value& value) {
  switch (value.kind) {
    case Kind::null: return '0';
    case Kind::boolean: return 'b';
    case Kind::integer: return 'i';
    case Kind::real: return value.real == std::trunc(value.real) && std::abs(value.real) < 9e18 ? 'i' : 'n';  // 2.0 is whole
    case Kind::string: return 's';
    case Kind::sequence: return 'l';
    case Kind::mapping: return 'm';
  }
  return '?';
}

std::string expected(std::string_view kinds) {
  std::string out;
  for (const char c : kinds) {
    const std::string_view name = c == 's' ? "a string" : c == 'i' ? "a whole number" : c == 'n' ? "a number" : c == 'b' ? "true or false"
                                  : c == 'l' ? "a list" : c == 'm' ? "a mapping" : "nothing";
    out += out.empty() ? "" : " or ";
    out += name;
  }
  return out;
}

/// Edit distance, cut off: for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

class Checker {
 public:
  explicit Checker(Context& context) : context_(context) {}

  bool root(const Value& root) {
    keys(root, kRoot, "the file");
    entries(root.find("services"), "service", true, [&](const Entry& entry) { service(entry); });
    entries(root.find("networks"), "network", false, [&](const Entry& entry) { network(entry); });
    entries(root.find("volumes"), "volume", false, [&](const Entry& entry) {
      keys(*entry.value, kVolume, entry.key);
      options(entry.value->find("driver_opts"), entry.key);
    });
    entries(root.find("secrets"), "secret", true, [&](const Entry& entry) { keys(*entry.value, kSecret, entry.key); });
    entries(root.find("configs"), "config", true, [&](const Entry& entry) { keys(*entry.value, kConfig, entry.key); });
    return fine_;
  }

 private:
  template <class F>
  void entries(const Value* section, std::string_view what, bool need, F&& body) {
    if (section == nullptr || !section->is_mapping()) return;
    for (const Entry& entry : *section->entries) {
      const bool name_fine = !entry.key.empty() && std::ranges::all_of(entry.key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      });
      if (!name_fine && !entry.key.starts_with("x-"))
        error(entry.key_where, fmt::format("'{}' is no name for a {}", entry.key, what), "letters, digits, '.', '_' and '-'");
      else if (entry.value->is_mapping()) body(entry);
      else if (need || !entry.value->is_null())
        error(entry.value->where ? entry.value->where : entry.key_where, fmt::format("{} '{}' must be a mapping", what, entry.key), "indent its keys below the name");
    }
  }

  template <std::size_t N>
  void keys(const Value& node, const Key (&table)[N], std::string_view of) {
    if (!node.is_mapping()) return;
    for (const Entry& entry : *node.entries) {
      if (entry.key.starts_with("x-")) continue;
      const auto known = std::ranges::find(table, entry.key, &Key::name);
      if (known == std::end(table)) {
        const auto nearest = std::ranges::min_element(table, {}, [&](const Key& key) { return distance(entry.key, key.name); });
        error(entry.key_where, fmt::format("unknown key '{}' in {}", entry.key, of),
              distance(entry.key, nearest->name) <= 2 ? fmt::format("did you mean '{}'?", nearest->name)
                                                      : "remove it, check its indentation, or name it x-...");
        continue;
      }
      const char kind = letter(*entry.value);
      const bool fits = known->kinds.find(kind) != std::string_view::npos || (kind == 'i' && known->kinds.find('n') != std::string_view::npos);
      if (!fits)
        error(entry.value->where ? entry.value->where : entry.key_where, fmt::format("'{}' in {} must be {}", entry.key, of, expected(known->kinds)),
              entry.value->is_null() ? "remove the key, or give it a value" : entry.value->is_scalar() && known->kinds.find('s') != std::string_view::npos ? "quote it" : "");
      else lists_of_strings(entry);
    }
  }

  void lists_of_strings(const Entry& entry) {
    if (!entry.value->is_sequence()) return;
    static constexpr std::string_view kStrings[] = {"command", "entrypoint", "cap_add", "cap_drop", "dns_opt", "links", "profiles",
                                                    "security_opt", "volumes_from", "environment", "labels", "test", "tmpfs", "dns", "aliases"};
    static constexpr std::string_view kUnique[] = {"security_opt", "external_links", "group_add", "depends_on"};
    if (std::ranges::find(kStrings, entry.key) != std::end(kStrings))
      for (const Value* item : *entry.value->items)
        if (!item->is_string()) error(item->where, fmt::format("an item of '{}' must be a string", entry.key), "quote it");
    if (std::ranges::find(kUnique, entry.key) != std::end(kUnique))
    {
      std::set<std::string_view> seen;
      for (const Value* item : *entry.value->items)
        if (item->is_string() && !seen.insert(item->text).second) error(item->where, fmt::format("an item of '{}' is there twice", entry.key), "remove one");
    }
  }

  void service(const Entry& entry) {
    const Value& node = *entry.value;
    const auto of = fmt::format("service '{}'", entry.key);
    keys(node, kService, of);
    section(node, "healthcheck", kHealth, of);
    section(node, "build", kBuild, of);
    section(node, "logging", kLogging, of);
    section(node, "deploy", kDeploy, of);
    if (const Value* deploy = node.find("deploy"); deploy != nullptr) {
      section(*deploy, "resources", kResources, of);
      if (const Value* resources = deploy->find("resources"); resources != nullptr) {
        section(*resources, "limits", kLimits, of);
        section(*resources, "reservations", kReservations, of);
      }
    }
    if (const Value* name = node.find("container_name"); name != nullptr && name->is_string() && !name->text.empty()) {
      const auto fine = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'; };
      if (name->text.size() < 2 || !std::ranges::all_of(name->text, fine) || !fine(name->text[0]) || name->text[0] == '_' || name->text[0] == '.' || name->text[0] == '-')
        error(name->where, fmt::format("'{}' is no container name", name->text), "two or more letters, digits, '_', '.' and '-', beginning with a letter or digit");
    }
    if (const Value* mounts = node.find("volumes"); mounts != nullptr && mounts->is_sequence()) {
      for (const Value* item : *mounts->items) {
        if (!item->is_mapping()) continue;
        const Value* type = item->find("type");
        static constexpr std::string_view kTypes[] = {"bind", "volume", "tmpfs", "cluster", "npipe", "image"};
        if (type == nullptr || std::ranges::find(kTypes, type->string()) == std::end(kTypes))
          error(item->where, fmt::format("a volume of {} has no known type", of), "bind, volume, tmpfs, cluster, npipe or image");
        else if (item->find("target") == nullptr)
          error(item->where, fmt::format("a volume of {} is missing a mount target", of), "add `target:`");
        else if (type->string() == "bind" && item->find("source") == nullptr)
          error(item->where, fmt::format("a bind mount of {} has no source", of), "add `source:`");
      }
    }
    if (const Value* policy = node.find("pull_policy"); policy != nullptr && policy->is_string()) {
      static constexpr std::string_view kPolicies[] = {"always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"};
      if (std::ranges::find(kPolicies, policy->text) == std::end(kPolicies) && !policy->text.starts_with("every_"))
        error(policy->where, fmt::format("'{}' is no pull policy", policy->text), "always, never, missing, build, daily, weekly or every_...");
    }
    if (const Value* ports = node.find("ports"); ports != nullptr && ports->is_sequence())
      for (const Value* item : *ports->items)
        if (item->is_mapping() && item->find("target") == nullptr) error(item->where, fmt::format("a port of {} is missing a target port", of), "add `target:`");
    items(node.find("ports"), kPort, of);
    items(node.find("volumes"), kMount, of);
    items(node.find("configs"), kFileUse, of);
    items(node.find("secrets"), kFileUse, of);
    devices(node.find("gpus"), of, false);
    devices(node.at({"deploy", "resources", "reservations", "devices"}), of, true);
    if (const Value* networks = node.find("networks"); networks != nullptr && networks->is_mapping())
      for (const Entry& use : *networks->entries) keys(*use.value, kServiceNetwork, of);
    if (const Value* depends = node.find("depends_on"); depends != nullptr && depends->is_mapping()) {
      for (const Entry& use : *depends->entries) {
        keys(*use.value, kDependency, of);
        const Value* condition = use.value->find("condition");
        if (!use.value->is_mapping() || condition == nullptr)
          error(use.key_where, fmt::format("depends_on '{}' of {} has no condition", use.key, of), "service_started, service_healthy or service_completed_successfully");
        else if (condition->string() != "service_started" && condition->string() != "service_healthy" && condition->string() != "service_completed_successfully")
          error(condition->where, fmt::format("'{}' is no condition", condition->text), "service_started, service_healthy or service_completed_successfully");
      }
    }
    nested(node.find("environment"), "environment");
    nested(node.find("labels"), "labels");
    if (const Value* test = node.at({"healthcheck", "test"}); test != nullptr && test->is_sequence() && !test->items->empty()) {
      const auto first = test->items->front()->string();
      if (first != "CMD" && first != "CMD-SHELL" && first != "NONE")
        error(test->items->front()->where, "a healthcheck's test must begin with CMD, CMD-SHELL or NONE", "or write it as one string");
    }
  }

  void network(const Entry& entry) {
    keys(*entry.value, kNetwork, entry.key);
    options(entry.value->find("driver_opts"), entry.key);
    const Value* ipam = entry.value->find("ipam");
    if (ipam == nullptr) return;
    keys(*ipam, kIpam, entry.key);
    items(ipam->find("config"), kIpamConfig, entry.key);
    if (const Value* own = ipam->find("options"); own != nullptr && own->is_mapping())
      for (const Entry& option : *own->entries)
        if (!option.value->is_string()) error(option.value->where ? option.value->where : option.key_where, fmt::format("'{}' in ipam.options of {} must be a string", option.key, entry.key), "quote it");
  }

  /// Options of a driver are strings or numbers.
  void options(const Value* map, std::string_view of) {
    if (map == nullptr || !map->is_mapping()) return;
    for (const Entry& option : *map->entries)
      if (const char kind = letter(*option.value); kind != 's' && kind != 'i' && kind != 'n')
        error(option.value->where ? option.value->where : option.key_where, fmt::format("'{}' in driver_opts of {} must be a string or a number", option.key, of), "quote it");
  }

  void devices(const Value* list, std::string_view of, bool need_capabilities) {
    items(list, kDevice, of);
    if (list == nullptr || !list->is_sequence()) return;
    for (const Value* item : *list->items) {
      if (!item->is_mapping()) continue;
      const Value* capabilities = item->find("capabilities");
      if (capabilities == nullptr && need_capabilities) error(item->where, fmt::format("a device of {} has no `capabilities`", of), "add `capabilities: [gpu]`");
      if (capabilities == nullptr || !capabilities->is_sequence()) continue;
      for (const Value* capability : *capabilities->items)
        if (!capability->is_string()) error(capability->where, fmt::format("a capability of a device of {} must be a string", of), "write `capabilities: [gpu]`");
    }
  }

  void nested(const Value* map, std::string_view of) {
    if (map == nullptr || !map->is_mapping()) return;
    for (const Entry& entry : *map->entries)
      if (entry.key.empty()) error(entry.key_where, fmt::format("an empty name in {}", of), "give it a name, or remove it");
    for (const Entry& entry : *map->entries)
      if (!entry.value->is_scalar()) error(entry.value->where, fmt::format("'{}' of {} must be a plain value", entry.key, of), "quote it, or put JSON into a string");
  }

  template <std::size_t N>
  void section(const Value& node, std::string_view key, const Key (&table)[N], std::string_view of) {
    if (const Value* value = node.find(key); value != nullptr) keys(*value, table, fmt::format("'{}' of {}", key, of));
  }

  template <std::size_t N>
  void items(const Value* list, const Key (&table)[N], std::string_view of) {
    if (list == nullptr || !list->is_sequence()) return;
    for (const Value* item : *list->items) {
      keys(*item, table, of);
      if (item->is_null() || item->is_sequence()) error(item->where, fmt::format("an item of a list in {} is empty or a list", of), "remove it");
    }
  }

  void error(Location where, std::string message, std::string hint) {
    fine_ = false;
    context_.error(where, std::move(message), std::move(hint));
  }

  Context& context_;
  bool fine_ = true;
};

}  // namespace

bool validate(const Value& root, Context& context) { return Checker(context).root(root); }

}  // namespace dm::compose

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "compose/details.hpp"
#include "compose/ports.hpp"
#include "compose/stages.hpp"
#include "compose/unique.hpp"
#include "compose/units.hpp"

namespace dm::compose {
namespace {

/// Text of a scalar as Compose turns it into a string.
std::string scalar_text(const Value& value) {
  switch (value.kind) {
    case Kind::boolean: return value.boolean ? "true" : "false";
    case Kind::integer: return fmt::format("{}", value.integer);
    case Kind::real: {
      if (const auto whole = unsigned_of(value); whole != 0) return fmt::format("{}", whole);
      return format_plain(value.real);
    }
    case Kind::null:
    case Kind::string:
    case Kind::sequence:
    case Kind::mapping: break;
  }
  return std::string(value.text);
}

class Canonical {
 public:
  explicit Canonical(Context& context) : context_(context), arena_(context.project.arena) {}

  void root(Value& root) {
    if (Value* services = root.find("services"); services != nullptr && services->is_mapping())
      for (Entry& entry : *services->entries)
        if (entry.value->is_mapping()) service(entry);
    for (const auto section : {"networks", "volumes", "secrets", "configs"}) {
      Value* all = root.find(section);
      if (all == nullptr || !all->is_mapping()) continue;
      for (Entry& entry : *all->entries) resource(entry, section);
    }
  }

 private:
  void service(Entry& entry) {
    Value& node = *entry.value;
    for (const auto key : {"environment", "labels", "annotations", "sysctls"}) key_values(node, key, "=", key == std::string_view("environment"));
    for (const auto key : {"env_file", "dns", "dns_search", "tmpfs", "label_file"}) listify(node, key);
    strings(node, "expose");
    strings(node, "group_add");
    drop_empty_dns(node);
    unique_lists(node);
    env_files(node);
    command(node, "command");
    command(node, "entrypoint");
    ports(node);
    volumes(node);
    networks(node);
    depends_on(node);
    file_uses(node, "secrets");
    file_uses(node, "configs");
    build(node);
    healthcheck(node);
    hooks(node);
    ulimits(node);
    whole_number(node, "scale");
    if (const Value* scale = node.find("scale"); scale != nullptr && scale->kind == Kind::integer)
      if (Value* deployed = node.find("deploy"); deployed != nullptr && deployed->is_mapping() && deployed->find("replicas") == nullptr)
        deployed->entries->push_back({"replicas", {}, arena_.integer(scale->integer, scale->where)});
    for (const auto key : {"mem_limit", "memswap_limit", "mem_reservation", "shm_size"}) bytes(node, key);
    duration(node, "stop_grace_period");
    if (Value* cpus = node.find("cpus"); cpus != nullptr && cpus->is_string()) real_text(*cpus);
    deploy(node);
    extra_hosts(node);
    devices(node);
    details(node, context_);
    if (Value* policy = node.find("pull_policy"); policy != nullptr && policy->string() == "if_not_present") policy->text = "missing";
    if (Value* gpus = node.find("gpus"); gpus != nullptr && gpus->string() == "all") {
      Value* list = arena_.make(Kind::sequence, gpus->where);
      Value* all = arena_.make(Kind::mapping, gpus->where);
      all->entries->push_back({"count", {}, arena_.integer(-1)});
      list->items->push_back(all);
      set(node, "gpus", list);
    }
    device_requests(node.find("gpus"), context_);
    named_list(node, "models");
    if (Value* provider = node.find("provider"); provider != nullptr && provider->is_mapping()) {
      string_map(provider->find("options"));
      if (Value* options = provider->find("options"); options != nullptr && options->is_mapping())
        for (Entry& item : *options->entries)
          if (item.value->is_string()) {
            Value* list = arena_.make(Kind::sequence, item.value->where);
            list->items->push_back(item.value);
            item.value = list;
          }
    }
    if (Value* logging = node.find("logging"); logging != nullptr) string_map(logging->find("options"));
  }

  /// `A=b` lists and maps become a map of strings; a name alone is null (looked up for `environment`).
  void key_values(Value& node, std::string_view key, std::string_view separator, bool environment) {
    Value* value = node.find(key);
    if (value == nullptr) return;
    if (value->is_sequence()) {
      Value* map = arena_.make(Kind::mapping, value->where);
      map->chain = value->chain;
      std::unordered_map<std::string_view, std::size_t> places;
      for (Value* item : *value->items) {
        if (!item->is_scalar()) continue;
        const auto text = item->is_string() ? item->text : arena_.keep(scalar_text(*item));
        const auto cut = text.find(separator);
        Value* content = arena_.make(Kind::null, item->where);
        if (cut != std::string_view::npos) {
          *content = *item;
          content->kind = Kind::string;
          content->text = text.substr(cut + separator.size());
        } else if (!environment) {
          content = arena_.string("", item->where);
        }
        if (text.substr(0, cut).ends_with(' ') || (cut == 0 && !environment))
          context_.error(item->where, fmt::format("'{}' is no name in '{}'", text.substr(0, cut), key), "no space before '=', and a name");
        const auto [place, fresh] = places.emplace(text.substr(0, cut), map->entries->size());
        if (fresh) map->entries->push_back({text.substr(0, cut), item->where, content});
        else (*map->entries)[place->second] = {text.substr(0, cut), item->where, content};
      }
      set(node, key, map);
      value = map;
    }
    if (!value->is_mapping()) return;
    for (Entry& item : *value->entries) {
      if (item.value->is_null()) {
        if (environment) inherit(item);
        else *item.value = *arena_.string("", item.value->where);
      } else if (item.value->is_scalar() && !item.value->is_string()) {
        item.value->text = arena_.keep(scalar_text(*item.value));
        item.value->kind = Kind::string;
      }
    }
  }

  void inherit(Entry& item) {
    const auto found = context_.project.environment.find(item.key);
    if (found == context_.project.environment.end()) return;
    const auto where = item.value->where;
    item.value = arena_.string(found->second.value, where);
    auto* segments = arena_.segments();
    segments->push_back({Segment::Kind::variable, true, item.key, 0, static_cast<std::uint32_t>(found->second.value.size()),
                         item.key_where, found->second.where});
    item.value->segments = segments;
  }

  void string_map(Value* map) {
    if (map == nullptr || !map->is_mapping()) return;
    for (Entry& item : *map->entries) {
      if (!item.value->is_scalar() || item.value->is_string()) continue;
      item.value->text = item.value->is_null() ? std::string_view() : arena_.keep(scalar_text(*item.value));
      item.value->kind = Kind::string;
    }
  }

  void listify(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr || !value->is_string()) return;
    Value* list = arena_.make(Kind::sequence, value->where);
    list->items->push_back(value);
    set(node, key, list);
  }

  void strings(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr || !value->is_sequence()) return;
    for (Value* item : *value->items) {
      if (!item->is_scalar() || item->is_string()) continue;
      item->text = arena_.keep(scalar_text(*item));
      item->kind = Kind::string;
    }
  }

  /// The one list whose empty items (an unset variable) Compose drops.
  void drop_empty_dns(Value& node) {
    Value* value = node.find("dns");
    if (value != nullptr && value->is_sequence())
      std::erase_if(*value->items, [&](const Value* item) { return item->is_string() && item->text.empty(); });
  }

  void env_files(Value& node) {
    Value* list = node.find("env_file");
    if (list == nullptr || !list->is_sequence()) return;
    for (Value*& item : *list->items) {
      if (item->is_string()) {
        Value* map = arena_.make(Kind::mapping, item->where);
        map->entries->push_back({"path", {}, item});
        item = map;
      }
      if (item->find("required") == nullptr) item->entries->push_back({"required", {}, arena_.boolean(true)});
    }
  }

  void command(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr) {
      node.entries->push_back({key, {}, arena_.make(Kind::null)});
      return;
    }
    if (!value->is_string()) return;
    const auto words = split_command(value->text);
    if (!words) {
      context_.error(value->where, fmt::format("'{}' cannot be split into words", key), "a quote is open; or use the list form");
      return;
    }
    Value* list = arena_.make(Kind::sequence, value->where);
    list->chain = value->chain;
    list->segments = value->segments;
    for (const auto& word : *words) list->items->push_back(arena_.string(word, value->where));
    set(node, key, list);
  }

  void ports(Value& node) {
    Value* value = node.find("ports");
    if (value == nullptr || !value->is_sequence()) return;
    Value* list = arena_.make(Kind::sequence, value->where);
    std::set<std::string> seen_text;
    for (Value* item : *value->items) {
      if (item->is_mapping()) {
        long_port(*item);
        list->items->push_back(item);
        continue;
      }
      const auto text = item->is_string() ? std::string(item->text) : scalar_text(*item);
      if (!seen_text.insert(text).second) continue;
      auto expanded = parse_port(text);
      if (!expanded) {
        context_.error(item->where, fmt::format("invalid port '{}'", text), "[IP:][HOST:]CONTAINER[/udp], ports 1 to 65535");
        continue;
      }
      std::ranges::stable_sort(*expanded, {}, [](const ShortPort& port) {
        return fmt::format("{}:{}:{}/{}", port.host_ip, port.published, port.target, port.protocol);
      });
      for (const ShortPort& port : *expanded) {
        Value* map = arena_.make(Kind::mapping, item->where);
        map->segments = item->segments;
        map->entries->push_back({"mode", {}, arena_.string("ingress")});
        if (!port.host_ip.empty()) map->entries->push_back({"host_ip", {}, arena_.string(port.host_ip, item->where)});
        map->entries->push_back({"target", {}, arena_.integer(port.target, item->where)});
        if (!port.published.empty()) map->entries->push_back({"published", {}, arena_.string(port.published, item->where)});
        map->entries->push_back({"protocol", {}, arena_.string(port.protocol)});
        list->items->push_back(map);
      }
    }
    unique_ports(*list);
    for (Value* port : *list->items) text_of(*port, "published");
    set(node, "ports", list);
  }

  /// The last of equal ports wins, at the first one's place. A number and a string in `published` are not equal.
  static void unique_ports(Value& list) {
    std::unordered_map<std::string, std::size_t> places;
    std::size_t kept = 0;
    for (Value* port : *list.items) {
      std::string key;
      for (const auto part : {"host_ip", "published", "target", "protocol"}) {
        const Value* value = port->find(part);
        if (value != nullptr) key += fmt::format("{}{}", value->kind == Kind::integer && part == std::string_view("published") ? "#" : "", scalar_text(*value));
        key += '|';
      }
      const auto [place, fresh] = places.emplace(std::move(key), kept);
      (*list.items)[place->second] = port;
      if (fresh) ++kept;
    }
    list.items->resize(kept);
  }

  void text_of(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr || value->is_string() || !value->is_scalar()) return;
    value->text = arena_.keep(scalar_text(*value));
    value->kind = Kind::string;
  }

  void long_port(Value& port) {
    whole_number(port, "target");
    if (const Value* address = port.find("host_ip"); address != nullptr && address->is_string() && !address->text.empty() && !valid_address(address->text))
      context_.error(address->where, fmt::format("'{}' is no address", address->text), "an IPv4 or IPv6 address");
    if (port.find("mode") == nullptr) port.entries->push_back({"mode", {}, arena_.string("ingress")});
    if (port.find("protocol") == nullptr) port.entries->push_back({"protocol", {}, arena_.string("tcp")});
  }

  void volumes(Value& node) {
    Value* value = node.find("volumes");
    if (value == nullptr || !value->is_sequence()) return;
    for (Value*& item : *value->items)
      if (item->is_string()) item = short_mount(*item);
    // unique by target: the last one wins, at the first one's place
    std::vector<Value*> out;
    std::unordered_map<std::string_view, std::size_t> places;
    for (Value* item : *value->items) {
      Value* target = item->find("target");
      if (target != nullptr && target->is_string() && target->text.starts_with('/'))
        target->text = arena_.keep(sources::clean_path(target->text));
      if (target != nullptr) {
        const auto [place, fresh] = places.emplace(target->text, out.size());
        if (!fresh) {
          out[place->second] = item;
          continue;
        }
      }
      out.push_back(item);
    }
    value->items->assign(out.begin(), out.end());
  }

  Value* short_mount(const Value& item) {
    const auto text = item.text;
    Value* map = arena_.make(Kind::mapping, item.where);
    map->chain = item.chain;
    map->segments = item.segments;
    const auto put = [&](std::string_view key, std::string_view part) {
      map->entries->push_back({key, {}, arena_.string(part, item.where)});
    };
    std::vector<std::string_view> parts;
    for (auto rest = text; ;) {
      // a one-letter part is a Windows drive
      const bool letter = !rest.empty() && ((rest[0] >= 'a' && rest[0] <= 'z') || (rest[0] >= 'A' && rest[0] <= 'Z'));
      const auto from = letter && rest.size() > 1 && rest[1] == ':' ? 2 : 0;
      const auto colon = rest.find(':', static_cast<std::size_t>(from));
      parts.push_back(rest.substr(0, colon));
      if (colon == std::string_view::npos) break;
      rest.remove_prefix(colon + 1);
    }
    if (parts.size() > 3 || std::ranges::any_of(parts, [](auto part) { return part.empty(); })) {
      context_.error(item.where, fmt::format("invalid volume '{}'", text), "[SOURCE:]TARGET[:ro]; an unset variable may have left a gap");
      return map;
    }
    const bool named = parts.size() > 1;
    const auto source = named ? parts[0] : std::string_view();
    const bool bind = source.starts_with('/') || source.starts_with('.') || source.starts_with('~') ||
                      source.starts_with("\\\\") || (source.size() > 2 && source[1] == ':');
    put("type", bind ? "bind" : "volume");
    if (named) put("source", source);
    put("target", named ? parts[1] : parts[0]);
    Value* volume = arena_.make(Kind::mapping);
    if (parts.size() == 3) {
      auto options = parts[2];
      while (!options.empty()) {
        const auto comma = std::min(options.find(','), options.size());
        const auto option = options.substr(0, comma);
        if (option == "ro") map->entries->push_back({"read_only", {}, arena_.boolean(true, item.where)});
        if (option == "nocopy") volume->entries->push_back({"nocopy", {}, arena_.boolean(true)});
        if (option == "z" || option == "Z") put("selinux", option);
        if (bind && option.find("shared") != std::string_view::npos) put("propagation", option);
        if (bind && option.find("slave") != std::string_view::npos) put("propagation", option);
        options.remove_prefix(std::min(comma + 1, options.size()));
      }
    }
    if (bind || map->find("selinux") != nullptr) {
      Value* options = arena_.make(Kind::mapping);
      for (const auto key : {"selinux", "propagation"}) {
        if (Value* found = map->find(key); found != nullptr) options->entries->push_back({key, {}, found});
        erase(*map, key);
      }
      if (bind) options->entries->push_back({"create_host_path", {}, arena_.boolean(true)});
      map->entries->push_back({"bind", {}, options});
    }
    if (bind) return map;
    if (text.size() > 2 || !volume->entries->empty()) {
      map->entries->push_back({"volume", {}, volume});
    }
    return map;
  }

  void networks(Value& node) { named_list(node, "networks"); }

  void named_list(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr || !value->is_sequence()) return;
    Value* map = arena_.make(Kind::mapping, value->where);
    for (Value* item : *value->items) set(*map, item->text, arena_.make(Kind::null, item->where), item->where);
    set(node, key, map);
  }

  void depends_on(Value& node) {
    Value* value = node.find("depends_on");
    if (value == nullptr) return;
    if (value->is_sequence()) {
      Value* map = arena_.make(Kind::mapping, value->where);
      for (Value* item : *value->items) set(*map, item->text, arena_.make(Kind::mapping, item->where), item->where);
      set(node, "depends_on", map);
      value = map;
    }
    if (!value->is_mapping()) return;
    for (Entry& item : *value->entries) {
      if (!item.value->is_mapping()) item.value = arena_.make(Kind::mapping, item.value->where);
      if (item.value->find("condition") == nullptr) item.value->entries->push_back({"condition", {}, arena_.string("service_started")});
      if (item.value->find("required") == nullptr) item.value->entries->push_back({"required", {}, arena_.boolean(true)});
    }
  }

  void file_uses(Value& node, std::string_view key, bool targets = true) {
    Value* value = node.find(key);
    if (value == nullptr || !value->is_sequence()) return;
    for (Value*& item : *value->items) {
      if (!item->is_string()) continue;
      Value* map = arena_.make(Kind::mapping, item->where);
      map->entries->push_back({"source", {}, item});
      item = map;
    }
    for (Value* item : *value->items) {
      const Value* source = item->find("source");
      if (targets && key == "secrets" && source != nullptr && item->find("target") == nullptr)
        item->entries->push_back({"target", {}, arena_.string(fmt::format("/run/secrets/{}", source->text))});
      if (Value* mode = item->find("mode"); mode != nullptr) file_mode(*mode, context_);
    }
  }

  void build(Value& node) {
    Value* value = node.find("build");
    if (value == nullptr) return;
    if (value->is_string()) {
      Value* map = arena_.make(Kind::mapping, value->where);
      map->entries->push_back({"context", {}, value});
      set(node, "build", map);
      value = map;
    }
    if (!value->is_mapping()) return;
    if (value->find("context") == nullptr) value->entries->push_back({"context", {}, arena_.string(".")});
    if (value->find("dockerfile") == nullptr && value->find("dockerfile_inline") == nullptr)
      value->entries->push_back({"dockerfile", {}, arena_.string("Dockerfile")});
    key_values(*value, "args", "=", true);
    if (Value* args = value->find("args"); args != nullptr && args->is_mapping())
      std::erase_if(*args->entries, [](const Entry& item) { return item.value->is_null(); });
    key_values(*value, "labels", "=", false);
    key_values(*value, "additional_contexts", "=", false);
    file_uses(*value, "secrets", /*targets=*/false);
    extra_hosts(*value);
    bytes(*value, "shm_size");
    ulimits(*value);
    text_of(*value, "provenance");
    text_of(*value, "sbom");
  }

  void healthcheck(Value& node) {
    Value* value = node.find("healthcheck");
    if (value == nullptr || !value->is_mapping()) return;
    for (const auto key : {"interval", "timeout", "start_period", "start_interval"}) duration(*value, key);
    whole_number(*value, "retries");
    Value* test = value->find("test");
    if (test == nullptr || !test->is_string()) return;
    Value* list = arena_.make(Kind::sequence, test->where);
    list->items->push_back(arena_.string("CMD-SHELL", test->where));
    list->items->push_back(test);
    set(*value, "test", list);
  }

  /// Lifecycle hooks and the actions of `develop.watch` have commands of their own.
  void hooks(Value& node) {
    for (const auto key : {"post_start", "pre_stop"}) {
      Value* list = node.find(key);
      if (list == nullptr || !list->is_sequence()) continue;
      for (Value* item : *list->items)
        if (item->is_mapping()) {
          if (item->find("command") != nullptr) command(*item, "command");
          key_values(*item, "environment", "=", true);
        }
    }
    Value* develop = node.find("develop");
    Value* watch = develop != nullptr ? develop->find("watch") : nullptr;
    if (watch == nullptr || !watch->is_sequence()) return;
    for (Value* item : *watch->items) {
      if (!item->is_mapping()) continue;
      Value* exec = item->find("exec");
      if (exec == nullptr) {
        exec = arena_.make(Kind::mapping);
        item->entries->push_back({"exec", {}, exec});
      }
      if (exec->is_mapping()) command(*exec, "command");
      listify(*item, "include");
      listify(*item, "ignore");
    }
  }

  /// A number that was written as text.
  void whole_number(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr || !value->is_string()) return;
    const auto parsed = parse_bytes(value->text);
    if (!parsed || value->text.find_first_not_of("0123456789") != std::string_view::npos) return;
    value->kind = Kind::integer;
    value->integer = static_cast<std::int64_t>(*parsed);
  }

  void ulimits(Value& node) {
    Value* value = node.find("ulimits");
    if (value == nullptr || !value->is_mapping()) return;
    for (Entry& item : *value->entries) {
      whole_number(*value, item.key);
      if (item.value->is_mapping()) whole_number(*item.value, "soft"), whole_number(*item.value, "hard");
    }
    for (Entry& item : *value->entries)
      if (item.value->kind == Kind::integer && item.value->integer == 0) item.value = arena_.make(Kind::mapping, item.value->where);
  }

  void deploy(Value& node) {
    Value* value = node.find("deploy");
    if (value != nullptr && value->is_null()) erase(node, "deploy");
    if (value == nullptr || !value->is_mapping()) return;
    key_values(*value, "labels", "=", false);
    for (const auto key : {"placement", "resources"})
      if (value->find(key) == nullptr) value->entries->push_back({key, {}, arena_.make(Kind::mapping)});
    for (const auto key : {"update_config", "rollback_config"})
      if (Value* config = value->find(key); config != nullptr) duration(*config, "delay"), duration(*config, "monitor");
    if (Value* policy = value->find("restart_policy"); policy != nullptr) duration(*policy, "delay"), duration(*policy, "window");
    Value* resources = value->find("resources");
    for (const auto key : {"limits", "reservations"}) {
      Value* part = resources != nullptr ? resources->find(key) : nullptr;
      if (part == nullptr || !part->is_mapping()) continue;
      bytes(*part, "memory");
      device_requests(part->find("devices"), context_);
      if (Value* cpus = part->find("cpus"); cpus != nullptr && cpus->is_string()) real_text(*cpus);
    }
  }

  void extra_hosts(Value& node) {
    Value* value = node.find("extra_hosts");
    if (value == nullptr) return;
    Value* list = arena_.make(Kind::sequence, value->where);
    std::vector<Value*> items;
    const auto add = [&](std::string_view host, std::string_view address, Location where) {
      if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
      items.push_back(arena_.string(fmt::format("{}={}", host, address), where));
    };
    if (value->is_sequence()) {
      for (const Value* item : *value->items) {
        auto cut = item->text.find('=');
        if (cut == std::string_view::npos) cut = item->text.find(':');
        if (cut == std::string_view::npos) context_.error(item->where, fmt::format("invalid extra host '{}'", item->text), "HOST=ADDRESS");
        else add(item->text.substr(0, cut), item->text.substr(cut + 1), item->where);
      }
    } else if (value->is_mapping()) {
      for (const Entry& item : *value->entries) {
        if (item.value->is_sequence())
          for (const Value* address : *item.value->items) add(item.key, address->text, address->where);
        else add(item.key, item.value->text, item.value->where);
      }
    }
    std::ranges::stable_sort(items, {}, [](const Value* item) { return item->text; });
    items.erase(std::unique(items.begin(), items.end(), [](const Value* a, const Value* b) { return a->text == b->text; }), items.end());
    list->items->assign(items.begin(), items.end());
    set(node, "extra_hosts", list);
  }

  void devices(Value& node) {
    Value* value = node.find("devices");
    if (value == nullptr || !value->is_sequence()) return;
    for (Value*& item : *value->items) {
      if (!item->is_string()) continue;
      if (std::ranges::count(item->text, ':') > 2) {
        context_.error(item->where, fmt::format("confusing device '{}'", item->text), "HOST:CONTAINER[:rwm], or the long form");
        continue;
      }
      std::array<std::string_view, 3> parts{item->text, item->text, "rwm"};
      if (const auto first = item->text.find(':'); first != std::string_view::npos) {
        parts[0] = item->text.substr(0, first);
        parts[1] = item->text.substr(first + 1);
        if (const auto second = parts[1].find(':'); second != std::string_view::npos) {
          parts[2] = parts[1].substr(second + 1);
          parts[1] = parts[1].substr(0, second);
        }
      }
      Value* map = arena_.make(Kind::mapping, item->where);
      map->entries->push_back({"source", {}, arena_.string(parts[0], item->where)});
      map->entries->push_back({"target", {}, arena_.string(parts[1], item->where)});
      map->entries->push_back({"permissions", {}, arena_.string(parts[2], item->where)});
      item = map;
    }
  }

  void resource(Entry& entry, std::string_view section) {
    if (entry.value->is_null()) entry.value = arena_.make(Kind::mapping, entry.value->where);
    if (!entry.value->is_mapping()) return;
    key_values(*entry.value, "labels", "=", false);
    string_map(entry.value->find("driver_opts"));
    if (const Value* outside = entry.value->find("external"); section == "volumes" && outside != nullptr && (outside->boolean || outside->is_mapping())) {
      for (const auto key : {"driver", "driver_opts", "labels"})
        if (const Entry* also = entry.value->find_entry(key); also != nullptr)
          context_.error(also->key_where, fmt::format("conflicting parameters \"external\" and \"{}\" of '{}'", key, entry.key), "keep one");
      if (outside->is_mapping() && outside->find("name") != nullptr && entry.value->find("name") != nullptr)
        context_.error(outside->where, fmt::format("'{}' has both name and external.name", entry.key), "only use name");
    }
    Value* external = entry.value->find("external");
    if (external == nullptr || !external->is_mapping()) return;
    if (Value* name = external->find("name"); name != nullptr && entry.value->find("name") == nullptr)
      entry.value->entries->push_back({"name", {}, name});
    set(*entry.value, "external", arena_.boolean(true, external->where));
  }

  void bytes(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr || !value->is_scalar() || value->is_null()) return;
    if (value->kind == Kind::real) {  // a bare 1.5 vanishes in Compose
      erase(node, key);
      return;
    }
    if (value->kind == Kind::integer && value->integer < 0) {
      value->kind = Kind::string;
      value->text = arena_.keep(fmt::format("{}", value->integer));
      return;
    }
    if (value->is_string() && value->text == "-1") return;
    const auto parsed = value->kind == Kind::integer ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(value->integer))
                                                     : parse_bytes(value->text);
    if (!parsed) {
      context_.error(value->where, fmt::format("'{}' is not a size: '{}'", key, value->text), "a number with b, k, m or g, such as 512m");
      return;
    }
    if (*parsed == 0) {  // 0 means no limit, and is not printed
      erase(node, key);
      return;
    }
    value->kind = Kind::string;
    value->text = arena_.keep(fmt::format("{}", *parsed));
  }

  void duration(Value& node, std::string_view key) {
    Value* value = node.find(key);
    if (value == nullptr || value->is_null()) return;
    const auto parsed = value->is_string() ? parse_duration(value->text) : std::nullopt;
    if (!parsed) {
      context_.error(value->where, fmt::format("'{}' is not a duration: '{}'", key, value->text), "a number with a unit, such as 30s or 1m30s");
      return;
    }
    value->text = arena_.keep(format_duration(*parsed));
  }

  void real_text(Value& value) {
    double number = 0;
    try {
      number = std::stod(std::string(value.text));
    } catch (const std::exception&) {
      context_.error(value.where, fmt::format("'cpus' is not a number: '{}'", value.text), "a number such as 0.5");
      return;
    }
    value.kind = Kind::real;
    value.real = number;
  }

  Context& context_;
  Arena& arena_;
};

}  // namespace

void canonicalise(Value& root, Context& context) { Canonical(context).root(root); }

}  // namespace dm::compose

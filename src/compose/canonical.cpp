#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compose/details.hpp"
#include "compose/forms.hpp"
#include "compose/unique.hpp"

namespace dm::compose {
namespace {

class Canonical : private Forms {
 public:
  explicit Canonical(Context& context) : Forms(context) {}

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
    if (!context_.project.interpolated) return model(node);
    for (const auto key : {"environment", "labels", "annotations", "sysctls"}) key_values(node, key, "=", key == std::string_view("environment"));
    for (const auto key : {"env_file", "dns", "dns_search", "tmpfs", "label_file"}) listify(node, key);
    strings(node, "expose");
    strings(node, "group_add");
    drop_empty_dns(node);
    unique_lists(node);
    env_files(node);
    command(node, "command");
    command(node, "entrypoint");
    canonical_ports(node, *this, context_);
    canonical_volumes(node, context_);
    named_list(node, "networks");
    depends_on(node);
    file_uses(node, "secrets");
    file_uses(node, "configs");
    canonical_build(node, *this, context_);
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
    canonical_deploy(node, *this, context_);
    extra_hosts(node);
    devices(node);
    details(node, context_);
    if (Value* policy = node.find("pull_policy"); policy != nullptr && policy->string() == "if_not_present" && context_.options.normalize) policy->text = "missing";
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
        for (Entry& item : *options->entries) {
          strings(*options, item.key);
          if (item.value->is_string()) {
            Value* list = arena_.make(Kind::sequence, item.value->where);
            list->items->push_back(item.value);
            item.value = list;
          }
        }
    }
    if (Value* logging = node.find("logging"); logging != nullptr) string_map(logging->find("options"));
  }

  /// Before variables are known Compose brings only these sections into their long forms.
  void model(Value& node) {
    for (const auto key : {"env_file", "dns", "label_file"}) listify(node, key);
    unique_lists(node);
    env_files(node);
    canonical_ports(node, *this, context_);
    canonical_volumes(node, context_);
    named_list(node, "networks");
    named_list(node, "models");
    depends_on(node);
    devices(node);
    file_uses(node, "secrets");
    file_uses(node, "configs");
    if (Value* build = node.find("build"); build != nullptr && build->is_string()) {
      Value* map = arena_.make(Kind::mapping, build->where);
      map->entries->push_back({"context", {}, build});
      set(node, "build", map);
    }
    if (Value* build = node.find("build"); build != nullptr && build->is_mapping()) {
      if (build->find("context") == nullptr) build->entries->push_back({"context", {}, arena_.string(".")});
      if (build->find("dockerfile") == nullptr && build->find("dockerfile_inline") == nullptr) build->entries->push_back({"dockerfile", {}, arena_.string("Dockerfile")});
      file_uses(*build, "secrets", /*targets=*/false);
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

  void healthcheck(Value& node) {
    Value* value = node.find("healthcheck");
    if (value == nullptr || !value->is_mapping()) return;
    for (const auto key : {"interval", "timeout", "start_period", "start_interval"}) duration(*value, key);
    whole_number(*value, "retries");
    if (Value* retries = value->find("retries"); retries != nullptr && retries->kind == Kind::real) {  // 1.5 is cut to 1
      retries->integer = static_cast<std::int64_t>(std::min(std::max(retries->real, 0.0), 9e18));
      retries->kind = Kind::integer;
    }
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
      if (exec->is_mapping()) command(*exec, "command"), key_values(*exec, "environment", "=", true);
      listify(*item, "include");
      listify(*item, "ignore");
    }
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
    if (context_.project.interpolated) {
      key_values(*entry.value, "labels", "=", false);
      string_map(entry.value->find("driver_opts"));
    }
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
};

}  // namespace

void canonicalise(Value& root, Context& context) { Canonical(context).root(root); }

}  // namespace dm::compose

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>

#include "base/json.hpp"
#include "base/yaml_writer.hpp"
#include "compose/details.hpp"
#include "compose/go_json.hpp"
#include "compose/load.hpp"
#include "compose/network_hash.hpp"
#include "compose/units.hpp"

namespace dm::compose {
namespace {

bool section_filtered(std::string_view key) {
  return key == "networks" || key == "volumes" || key == "secrets" || key == "configs";
}

/// False and 0 vanish but where Compose keeps a pointer.
bool vanishes(std::string_view key, const Value& value, std::size_t depth) {
  if (depth == 0) return false;
  static constexpr std::string_view kKept[] = {"init", "attach", "scale", "replicas", "required", "enable_ipv4", "enable_ipv6",
                                               "parallelism", "max_attempts", "retries", "Weight"};
  if (std::ranges::find(kKept, key) != std::end(kKept)) return false;
  if (value.kind == Kind::boolean) return !value.boolean;
  if (value.kind == Kind::integer) return value.integer == 0;
  if (value.kind == Kind::real) return value.real == 0;
  return false;
}

/// A mapping below these has the user's names as its keys; what it holds is known by this name instead.
std::string_view held_by(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kHeld[] = {
      {"networks", "network"}, {"ulimits", "ulimit"}, {"models", "model"}, {"depends_on", "dependency"}};
  const auto* found = std::ranges::find(kHeld, name, &std::pair<std::string_view, std::string_view>::first);
  return found != std::end(kHeld) ? found->second : std::string_view();
}

/// `Writer` is JsonWriter, YamlWriter or GoJsonWriter.
template <class Writer>
class Printer {
 public:
  explicit Printer(const Project& project) : project_(project) {}

  std::string print() {
    if (!project_.interpolated) {
      extension_ = true;  // everything as it is
      value(*project_.model, "", 0);
      return writer_.take();
    }
    writer_.begin_object();
    std::vector<const Entry*> sorted;
    for (const Entry& entry : *project_.model->entries)
      if (entry.key != "version" && entry.key != "models" && !entry.value->is_null()) sorted.push_back(&entry);
    std::ranges::sort(sorted, {}, [](const Entry* entry) { return std::pair(kYaml ? rank(entry->key) : 0, entry->key); });
    for (const Entry* entry : sorted) section(*entry);
    writer_.end();
    return writer_.take();
  }

  std::string hashed(const Value& node, std::string_view holder) {
    mapping(node, holder, 1);
    return writer_.take();
  }

 private:
  static constexpr bool kYaml = std::is_same_v<Writer, YamlWriter>;
  static constexpr bool kHash = std::is_same_v<Writer, GoJsonWriter>;

  /// Compose's YAML has the sections in this order, its JSON sorts them.
  static std::size_t rank(std::string_view key) {
    static constexpr std::string_view kOrder[] = {"name", "services", "networks", "volumes", "secrets", "configs"};
    return static_cast<std::size_t>(std::ranges::find(kOrder, key) - std::begin(kOrder));
  }

  void section(const Entry& entry) {
    if (entry.key == "services") {
      writer_.key(entry.key).begin_object();
      std::vector<const Service*> sorted;
      for (const Service& service : project_.services)
        if (service.enabled) sorted.push_back(&service);
      std::ranges::sort(sorted, {}, [](const Service* service) { return service->name; });
      for (const Service* service : sorted) {
        writer_.key(service->name);
        mapping(*service->node, "service", 1);
      }
      writer_.end();
      return;
    }
    if (!section_filtered(entry.key)) {
      writer_.key(escaped(entry.key));
      extension_ = entry.key.starts_with("x-");
      value(*entry.value, entry.key, 0);
      extension_ = false;
      return;
    }
    const auto keep = used_names(project_, entry.key);
    std::vector<const Entry*> sorted;
    for (const Entry& item : *entry.value->entries)
      if (keep.contains(item.key)) sorted.push_back(&item);
    if (sorted.empty()) return;
    std::ranges::sort(sorted, {}, [](const Entry* item) { return item->key; });
    writer_.key(entry.key).begin_object();
    const auto holder = fmt::format("/{}", entry.key);
    for (const Entry* item : sorted) {
      writer_.key(item->key);
      mapping(*item->value, holder, 1);
    }
    writer_.end();
  }

  void mapping(const Value& map, std::string_view name, std::size_t depth) {  // NOLINT(misc-no-recursion)
    writer_.begin_object();
    std::vector<const Entry*> sorted;
    for (const Entry& entry : *map.entries) sorted.push_back(&entry);
    if (!extension_ && !free_form(name)) std::ranges::sort(sorted, {}, [&](const Entry* entry) { return std::pair(go_rank(name, entry->key), entry->key); });
    else std::ranges::sort(sorted, {}, [](const Entry* entry) { return entry->key; });
    for (const Entry* entry : sorted) {
      if (depth == 0 && entry->key == "version") continue;
      if (kHash && not_hashed(name, entry->key)) continue;
      if (!extension_ && !free_form(name)) {
        if (kYaml && entry->key.starts_with("x-")) {
          extension(*entry);
          continue;
        }
        if (entry->key.starts_with("x-") || vanishes(entry->key, *entry->value, depth)) continue;
        if (entry->value->is_string() && entry->value->text.empty()) continue;
        if (entry->value->is_sequence() && entry->value->items->empty() && entry->key != "command" && entry->key != "entrypoint") continue;
      }
      if (name == "service" && drops_from_service(*entry)) continue;
      if (kYaml && !extension_ && zero_struct(name, *entry)) continue;
      if (kYaml && name == "service" && entry->value->is_null() && (entry->key == "command" || entry->key == "entrypoint")) continue;
      writer_.key(escaped(entry->key));
      if (kHash && name == "service" && entry->key == "env_file") env_files(*entry->value);
      else value(*entry->value, held_by(name).empty() ? entry->key : held_by(name), depth);
    }
    writer_.end();
  }

  /// Only Compose's YAML has what begins with x-, as it was written.
  void extension(const Entry& entry) {  // NOLINT(misc-no-recursion)
    writer_.key(escaped(entry.key));
    extension_ = true;
    value(*entry.value, entry.key, 0);
    extension_ = false;
  }

  /// Structs that only the JSON shows when nothing is in them.
  static bool zero_struct(std::string_view name, const Entry& entry) {
    if (!entry.value->is_mapping()) return false;
    const bool known = entry.key == "ipam" || (name == "deploy" && (entry.key == "resources" || entry.key == "placement")) || (name == "watch" && entry.key == "exec");
    return known && std::ranges::all_of(*entry.value->entries, [](const Entry& field) { return field.value->is_null(); });
  }

  /// Only the path of a file that is required.
  void env_files(const Value& files) {
    writer_.begin_array();
    for (const Value* item : *files.items) {
      const Value* required = item->find("required");
      if (required != nullptr && !required->boolean) mapping(*item, "env_file", 2);
      else if (const Value* path = item->find("path"); path != nullptr) string(path->text);
    }
    writer_.end();
  }

  /// What Compose may change without creating the container again.
  static bool not_hashed(std::string_view name, std::string_view key) {
    static constexpr std::string_view kOfService[] = {"build", "pull_policy", "scale", "depends_on", "profiles"};
    return (name == "service" && std::ranges::find(kOfService, key) != std::end(kOfService)) || (name == "deploy" && key == "replicas");
  }

  void value(const Value& value, std::string_view name, std::size_t depth) {  // NOLINT(misc-no-recursion)
    switch (value.kind) {
      case Kind::null: writer_.null(); break;
      case Kind::boolean: writer_.value(value.boolean); break;
      case Kind::integer: writer_.value(value.integer); break;
      case Kind::real:
        if (const auto whole = unsigned_of(value); whole != 0) writer_.value(whole);
        else writer_.raw(name == "cpus" || kHash ? format_float(static_cast<float>(value.real)) : format_real(value.real));
        break;
      case Kind::string: string(value.text); break;
      case Kind::sequence:
        writer_.begin_array();
        for (const Value* item : *value.items) this->value(*item, name, depth + 1);
        writer_.end();
        break;
      case Kind::mapping: mapping(value, name, depth + 1); break;
    }
  }

  static std::string format_float(float value) { return fmt::format("{}", value); }

  /// Every dollar is doubled again, so that the output can be read as a compose file.
  void string(std::string_view text) {
    if (kHash || !project_.interpolated || text.find('$') == std::string_view::npos) {
      writer_.value(text);
      return;
    }
    writer_.value(std::string_view(escaped(text)));
  }

  std::string escaped(std::string_view text) const {
    if (kHash || !project_.interpolated) return std::string(text);
    std::string out;
    for (const char c : text) {
      out += c;
      if (c == '$') out += c;
    }
    return out;
  }

  /// Maps whose keys are the user's own: everything in them is kept.
  static bool free_form(std::string_view name) {
    static constexpr std::string_view kNames[] = {"environment", "labels", "args", "options", "driver_opts", "annotations", "sysctls",
                                                  "additional_contexts", "storage_opt", "networks", "depends_on", "models", "ulimits"};
    return std::ranges::find(kNames, name) != std::end(kNames);
  }

  static bool drops_from_service(const Entry& entry) {
    if (entry.key == "extends" || entry.key == "label_file" || (entry.key == "env_file" && !kHash)) return true;
    if (entry.value->is_null() && (entry.key == "deploy" || entry.key == "develop")) return true;
    if (entry.value->is_sequence()) return entry.value->items->empty() && entry.key != "command" && entry.key != "entrypoint";
    static constexpr std::string_view kMaps[] = {"annotations", "depends_on", "environment", "labels", "storage_opt", "sysctls", "ulimits"};
    return entry.value->is_mapping() && entry.value->entries->empty() && std::ranges::find(kMaps, entry.key) != std::end(kMaps);
  }

  const Project& project_;
  Writer writer_;
  bool extension_ = false;
};

}  // namespace

std::set<std::string_view> used_names(const Project& project, std::string_view section) {
  std::set<std::string_view> out;
  for (const Service& service : project.services) {
    if (!service.enabled) continue;
    if (section == "networks")
      for (const auto& use : service.networks) out.insert(use.network);
    if (section == "volumes")
      for (const auto& mount : service.mounts)
        if (mount.type == Mount::Type::volume && !mount.source.empty()) out.insert(mount.source);
    if (section == "secrets")
      for (const auto& use : service.secrets) out.insert(use.source);
    if (section == "configs")
      for (const auto& use : service.configs) out.insert(use.source);
    if (section == "secrets" && service.build != nullptr)
      if (const Value* secrets = service.build->find("secrets"); secrets != nullptr && secrets->is_sequence())
        for (const Value* item : *secrets->items)
          if (const Value* source = item->find("source"); source != nullptr) out.insert(source->text);
  }
  return out;
}

std::string to_json(const Project& project) { return Printer<JsonWriter>(project).print() + "\n"; }

std::string to_yaml(const Project& project) { return Printer<YamlWriter>(project).print(); }

std::string hashed_text(Project& project, const Service& service) {
  auto* node = const_cast<Value*>(service.node);  // the project is the caller's, and not const
  const auto platform = project.environment.find("DOCKER_DEFAULT_PLATFORM");
  if (platform != project.environment.end() && !platform->second.value.empty() && service.build != nullptr && node->find("platform") == nullptr)
    set(*node, "platform", project.arena.string(platform->second.value));
  return Printer<GoJsonWriter>(project).hashed(*service.node, "service");
}

std::string hashed_text(const Project& project, const Network& network) { return Printer<GoJsonWriter>(project).hashed(*network.node, "/networks"); }

void set_image(Project& project, Service& service, std::string_view image) {
  auto* value = project.arena.string(image, service.image.where());
  set(const_cast<Value&>(*service.node), "image", value);  // the project is the caller's, and not const
  service.image = {value->text, value};
}

}  // namespace dm::compose

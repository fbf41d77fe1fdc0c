#include <fmt/format.h>

#include <algorithm>

#include "compose/environment.hpp"
#include "compose/stages.hpp"

namespace dm::compose {
namespace {

std::string absolute(std::string_view path, std::string_view folder, const Project& project) {
  if (const auto home = project.environment.find("HOME"); path.starts_with('~') && home != project.environment.end() && !home->second.value.empty())
    return sources::clean_path(std::string(home->second.value) + std::string(path.substr(1).starts_with('/') ? "" : "/") + std::string(path.substr(1)));
  if (path.starts_with("\\\\")) return std::string(path);  // a Windows pipe or share
  if (path.starts_with('/')) return std::string(path);  // as written, a trailing slash too
  return sources::clean_path(path, folder);
}

bool is_remote_context(std::string_view text) {
  return text.find("://") != std::string_view::npos || text.starts_with("git@") || text.starts_with("github.com/");
}

class Paths {
 public:
  Paths(Project& project, std::string_view folder, bool as_absolute) : project_(project), folder_(folder), as_absolute_(as_absolute) {}

  void service(Value& node) {
    if (Value* mounts = node.find("volumes"); mounts != nullptr && mounts->is_sequence())
      for (Value* item : *mounts->items) mount(*item);
    if (Value* build = node.find("build"); build != nullptr) {
      Value* context = build->is_mapping() ? build->find("context") : build;
      if (context != nullptr && context->is_string() && !is_remote_context(context->text)) fix(*context);
      Value* more = build->is_mapping() ? build->find("additional_contexts") : nullptr;
      if (more != nullptr && more->is_mapping())
        for (Entry& entry : *more->entries)
          if (entry.value->is_string() && (entry.value->text.starts_with('.') || entry.value->text.starts_with('/'))) fix(*entry.value);
    }
    if (Value* files = node.find("env_file"); files != nullptr) {
      if (files->is_string()) fix(*files);
      if (files->is_sequence())
        for (Value* item : *files->items) fix_path(*item, "path");
    }
    if (Value* files = node.find("label_file"); files != nullptr && files->is_sequence())
      for (Value* item : *files->items) fix(*item);
    if (Value* extends = node.find("extends"); extends != nullptr) fix_path(*extends, "file");
    Value* develop = node.find("develop");
    Value* watch = develop != nullptr ? develop->find("watch") : nullptr;
    if (watch != nullptr && watch->is_sequence())
      for (Value* item : *watch->items) fix_path(*item, "path");
  }

  void root(Value& root) {
    if (Value* services = root.find("services"); services != nullptr && services->is_mapping())
      for (Entry& entry : *services->entries)
        if (entry.value->is_mapping()) service(*entry.value);
    for (const auto section : {"secrets", "configs"})
      if (Value* all = root.find(section); all != nullptr && all->is_mapping())
        for (Entry& entry : *all->entries) fix_path(*entry.value, "file");
    if (Value* volumes = root.find("volumes"); volumes != nullptr && volumes->is_mapping()) {
      for (Entry& entry : *volumes->entries) {
        Value* options = entry.value->is_mapping() ? entry.value->find("driver_opts") : nullptr;
        const Value* o = options != nullptr ? options->find("o") : nullptr;
        Value* device = options != nullptr ? options->find("device") : nullptr;
        if (o != nullptr && o->text == "bind" && device != nullptr && device->is_string()) fix(*device);
      }
    }
  }

 private:
  void mount(Value& item) {
    if (item.is_string()) {  // short form, before canonicalise: only a leading '.' is ours to move
      if (item.text.starts_with("./") || item.text.starts_with("../") || item.text == "." || item.text.starts_with(".:")) {
        const auto colon = item.text.find(':');
        const auto tail = colon == std::string_view::npos ? std::string_view() : item.text.substr(colon);
        item.text = project_.arena.keep(short_path(item.text.substr(0, colon)) + std::string(tail));
      }
      return;
    }
    const Value* type = item.find("type");
    if (type != nullptr && type->string() == "bind") fix_path(item, "source");
  }

  void fix_path(Value& node, std::string_view key) {
    if (node.is_string()) {
      if (key == "path") fix(node);
      return;
    }
    Value* value = node.find(key);
    if (value != nullptr && value->is_string()) fix(*value);
  }

  void fix(Value& value) {
    if (value.text.size() > 1 && value.text[1] == ':') return;  // a Windows drive
    value.text = project_.arena.keep(moved(value.text));
  }

  /// A short mount must still look like a path.
  std::string short_path(std::string_view path) const {
    auto out = moved(path);
    return out.starts_with('/') ? out : "./" + out;
  }

  std::string moved(std::string_view path) const {
    auto out = absolute(path, folder_, project_);
    return as_absolute_ || path.starts_with('/') ? out : std::string(sources::relative_to(out, project_.folder));
  }

  Project& project_;
  std::string_view folder_;
  bool as_absolute_;  ///< else as seen from the project's folder
};

void imply(Value& node, std::string_view service, bool restart, Arena& arena, Location where) {
  Value* depends = node.find("depends_on");
  if (depends == nullptr) {
    depends = arena.make(Kind::mapping, where);
    node.entries->push_back({"depends_on", {}, depends});
  }
  if (!depends->is_mapping() || depends->find(service) != nullptr) return;
  Value* item = arena.make(Kind::mapping, where);
  item->entries->push_back({"condition", {}, arena.string("service_started")});
  item->entries->push_back({"required", {}, arena.boolean(true)});
  if (restart) item->entries->push_back({"restart", {}, arena.boolean(true)});
  depends->entries->push_back({service, where, item});
}

void implied_dependencies(Value& node, Arena& arena) {
  if (const Value* links = node.find("links"); links != nullptr && links->is_sequence())
    for (const Value* item : *links->items) imply(node, item->text.substr(0, item->text.find(':')), true, arena, item->where);
  for (const auto key : {"network_mode", "ipc", "pid", "uts", "cgroup"})
    if (const Value* mode = node.find(key); mode != nullptr && mode->string().starts_with("service:"))
      imply(node, mode->text.substr(8), true, arena, mode->where);
  if (const Value* from = node.find("volumes_from"); from != nullptr && from->is_sequence())
    for (const Value* item : *from->items)
      if (!item->text.starts_with("container:")) imply(node, item->text.substr(0, item->text.find(':')), false, arena, item->where);
}

/// Every network prints `ipam: {}`; its options are lost in Compose.
Value* ipam_of(Value& network, Arena& arena) {
  Value* ipam = network.find("ipam");
  if (ipam == nullptr || !ipam->is_mapping()) return arena.make(Kind::mapping);
  erase(*ipam, "options");
  return ipam;
}

}  // namespace

void move_paths(Value& service, const std::string& folder, Context& context) {
  Paths(context.project, folder, context.options.resolve_paths).service(service);
}

void move_all_paths(Value& root, const std::string& folder, Context& context) {
  Project& project = context.project;
  if (Value* services = root.find("services"); services != nullptr && services->is_mapping())
    for (Entry& entry : *services->entries)  // the context that is implied is the folder of the included file
      if (Value* build = entry.value->find("build"); build != nullptr && build->is_mapping() && build->find("context") == nullptr)
        build->entries->push_back({"context", {}, project.arena.string(".")});
  Paths(project, folder, context.options.resolve_paths).root(root);
}

namespace {

/// Names, the default network, and dependencies that are implied.
void normalize(Value& root, Project& project) {
  Arena& arena = project.arena;
  bool uses_default = false;
  if (Value* services = root.find("services"); services != nullptr && services->is_mapping()) {
    for (Entry& entry : *services->entries) {
      Value& node = *entry.value;
      if (!node.is_mapping()) continue;
      implied_dependencies(node, arena);
      const Value* networks = node.find("networks");
      const bool none = networks == nullptr || (networks->is_mapping() && networks->entries->empty());
      if (node.find("network_mode") == nullptr && node.find("provider") == nullptr && none) {
        Value* map = arena.make(Kind::mapping);
        map->entries->push_back({"default", {}, arena.make(Kind::null)});
        set(node, "networks", map);
        uses_default = true;
      } else if (networks != nullptr && networks->find_entry("default") != nullptr) {
        uses_default = true;
      }
    }
  }
  Value* networks = root.find("networks");
  if (uses_default && (networks == nullptr || networks->find("default") == nullptr)) {
    if (networks == nullptr || !networks->is_mapping()) {
      networks = arena.make(Kind::mapping);
      set(root, "networks", networks);
    }
    networks->entries->push_back({"default", {}, arena.make(Kind::mapping)});
  }
  for (const auto section : {"networks", "volumes", "secrets", "configs"}) {
    Value* all = root.find(section);
    if (all == nullptr || !all->is_mapping()) continue;
    for (Entry& entry : *all->entries) {
      Value& node = *entry.value;
      if (!node.is_mapping()) continue;
      const Value* external = node.find("external");
      const bool outside = external != nullptr && external->boolean;
      if (node.find("name") == nullptr)
        node.entries->push_back({"name", {}, arena.string(outside ? std::string(entry.key) : fmt::format("{}_{}", project.name, entry.key))});
    }
  }
}

}  // namespace

void apply_defaults(Value& root, std::string_view folder, Context& context) {
  Project& project = context.project;
  if (context.options.normalize) normalize(root, project);
  if (Value* networks = root.find("networks"); networks != nullptr && networks->is_mapping() && project.interpolated)
    for (Entry& entry : *networks->entries)
      if (entry.value->is_mapping()) set(*entry.value, "ipam", ipam_of(*entry.value, project.arena));
  if (context.options.resolve_paths) Paths(project, folder, true).root(root);
}

}  // namespace dm::compose

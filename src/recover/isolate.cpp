#include "recover/isolate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.hpp"

namespace dm::recover {
namespace {

using compose::Kind;
using compose::Value;

std::string quote(std::string_view text) {
  std::string out, escaped;
  for (const char c : text) escaped += c == '$' ? std::string("$$") : std::string(1, c);  // Compose interpolates this file, too
  json_quote(out, escaped);
  return out;
}

/// As flow YAML.
std::string flow(const Value& value) {
  switch (value.kind) {
    case Kind::null: return "null";
    case Kind::boolean: return value.boolean ? "true" : "false";
    case Kind::integer: return std::to_string(value.integer);
    case Kind::real: return std::string(value.text);
    case Kind::string: return quote(value.text);
    case Kind::sequence: {
      std::string out;
      for (const auto* item : *value.items) out += (out.empty() ? "" : ", ") + flow(*item);
      return "[" + out + "]";
    }
    case Kind::mapping: {
      std::string out;
      for (const auto& entry : *value.entries) out += (out.empty() ? "" : ", ") + quote(entry.key) + ": " + flow(*entry.value);
      return "{" + out + "}";
    }
  }
  return "null";
}

bool below(std::string_view path, std::string_view folder) { return path == folder || (path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/'); }

enum class Fate { keep, move, drop };

/// What becomes of a bind mount. Sockets of the engine and of the system, and what others write to, stay outside.
Fate fate(const compose::Project& project, const Value& mount, const Apart& apart, std::string& source, std::string& why) {
  const auto* type = mount.find("type");
  if (type == nullptr || type->string() != "bind") return Fate::keep;
  const auto* from = mount.find("source");
  if (from == nullptr) return Fate::keep;
  source = from->string();
  if (below(source, project.folder)) return Fate::keep;
  for (const auto& [old, now] : apart.folders)
    if (below(source, old)) {
      source = now + source.substr(old.size());
      return Fate::move;
    }
  const auto* read_only = mount.find("read_only");
  const bool reads = read_only != nullptr && read_only->boolean;
  const bool socket = source.ends_with(".sock") || below(source, "/run") || below(source, "/var/run");
  if (reads && !socket && !below(source, "/proc") && !below(source, "/sys") && source != "/") return Fate::keep;
  why = socket ? "a socket of the host" : "writable and outside of what was saved";
  return Fate::drop;
}

}  // namespace

Isolation isolate(const compose::Project& project, const Apart& apart) {
  Isolation out;
  const bool labelled = !apart.label_name.empty();
  const auto labels = labelled ? fmt::format("labels: {{{}: {}}}", quote(apart.label_name), quote(apart.label_value)) : std::string();
  std::string& yaml = out.yaml;
  yaml = "# Written by datamancy: cuts the project off. It is not meant to be kept.\nservices:\n";
  bool uses_default = false;
  for (const auto& service : project.services) {
    if (!service.enabled) continue;
    std::string body = "    ports: !reset []\n";
    if (apart.own_volumes) {
      if (service.container_name) body += "    container_name: !reset null\n";
      // Others read labels: a proxy or an updater of the real stack would take this one for its own.
      body += labelled ? fmt::format("    labels: !override {{{}: {}}}\n", quote(apart.label_name), quote(apart.label_value)) : "    labels: !reset {}\n";
    }
    const bool outside = service.network_mode && !service.network_mode.value.starts_with("service:") && service.network_mode.value != "none";
    if (outside) {
      body += "    network_mode: !reset null\n    networks: {default: null}\n";
      uses_default = true;
      out.notes.push_back(fmt::format("{}: its network_mode '{}' is not used: it is in the project's own network", service.name, service.network_mode.value));
    }
    for (const auto& [what, text] : {std::pair<std::string_view, const compose::Text&>{"pid", service.pid}, {"ipc", service.ipc}})
      if (text && text.value == "host") {
        body += fmt::format("    {}: !reset null\n", what);
        out.notes.push_back(fmt::format("{}: does not share the host's {} here", service.name, what));
      }
    if (service.privileged) {
      body += "    privileged: !reset false\n";
      out.notes.push_back(fmt::format("{}: is not privileged here", service.name));
    }
    bool addresses = false;
    for (const auto& use : service.networks) {
      uses_default = uses_default || use.network == "default";
      addresses = addresses || use.ipv4 || use.ipv6;
    }
    if (addresses && !outside) {  // they belong to the real networks
      body += "    networks: !override\n";
      for (const auto& use : service.networks) {
        std::string names;
        for (const auto& alias : use.aliases) names += (names.empty() ? "" : ", ") + quote(alias.value);
        body += fmt::format("      {}: {{aliases: [{}]}}\n", quote(use.network), names);
      }
    }
    if (const auto* mounts = service.node->find("volumes"); mounts != nullptr && mounts->is_sequence()) {
      std::string list;
      bool differs = false;
      for (const auto* mount : *mounts->items) {
        if (!mount->is_mapping()) continue;
        std::string source, why;
        const auto what = fate(project, *mount, apart, source, why);
        differs = differs || what != Fate::keep;
        if (what == Fate::drop) {
          out.notes.push_back(fmt::format("{}: {} is not mounted here ({})", service.name, source, why));
          continue;
        }
        std::string entry;
        for (const auto& [key, where, value] : *mount->entries) entry += fmt::format("{}{}: {}", entry.empty() ? "" : ", ", quote(key), key == "source" && what == Fate::move ? quote(source) : flow(*value));
        list += "      - {" + entry + "}\n";
      }
      if (differs) body += list.empty() ? "    volumes: !reset []\n" : "    volumes: !override\n" + list;
    }
    yaml += fmt::format("  {}:\n{}", quote(service.name), body);
  }
  std::string networks;
  for (const auto& network : project.networks) {
    if (network.key == "default") uses_default = false;
    networks += fmt::format("  {}: !override {{internal: true{}{}}}\n", quote(network.key), labelled ? ", " : "", labels);
  }
  if (uses_default) networks += fmt::format("  default: {{internal: true{}{}}}\n", labelled ? ", " : "", labels);
  if (!networks.empty()) yaml += "networks:\n" + networks;
  if (apart.own_volumes && !project.volumes.empty()) {
    yaml += "volumes:\n";
    for (const auto& volume : project.volumes) yaml += fmt::format("  {}: !override {{{}}}\n", quote(volume.key), labels);
  }
  for (const auto* list : {&project.secrets, &project.configs})
    for (const auto& resource : *list)
      if (resource.external) out.notes.push_back(fmt::format("'{}' is external and not part of the backup", resource.key));
  return out;
}

}  // namespace dm::recover

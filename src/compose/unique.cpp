#include "compose/unique.hpp"

#include <fmt/format.h>

#include <string>
#include <unordered_map>

namespace dm::compose {
namespace {

std::string text_of(const Value& value) {
  return value.kind == Kind::integer ? fmt::format("{}", value.integer) : std::string(value.text);
}

std::string name_of(const Value& item) {
  const auto text = text_of(item);
  return text.substr(0, text.find('='));
}

/// Where a secret or config is mounted; the two kinds have different folders, but are never in one list.
std::string use_of(const Value& item) {
  if (!item.is_mapping()) return "/run/secrets/" + text_of(item);
  if (const Value* target = item.find("target"); target != nullptr) return text_of(*target);
  const Value* source = item.find("source");
  return source != nullptr ? "/run/secrets/" + text_of(*source) : std::string();
}

std::string device_of(const Value& item) {
  if (item.is_mapping()) {
    const Value* target = item.find("target");
    if (target == nullptr) target = item.find("source");
    return target != nullptr ? text_of(*target) : std::string();
  }
  const auto first = item.text.find(':');
  if (first == std::string_view::npos) return std::string(item.text);
  const auto rest = item.text.substr(first + 1);
  return std::string(rest.substr(0, rest.find(':')));
}

std::string env_file_of(const Value& item) {
  const Value* path = item.is_mapping() ? item.find("path") : &item;
  return path != nullptr ? text_of(*path) : std::string();
}

template <class F>
void unique_by(Value* list, F&& key_of) {
  if (list == nullptr || !list->is_sequence() || list->items->size() < 2) return;
  std::unordered_map<std::string, std::size_t> places;
  std::size_t kept = 0;
  for (Value* item : *list->items) {
    const auto [place, fresh] = places.emplace(key_of(*item), kept);
    (*list->items)[place->second] = item;
    if (fresh) ++kept;
  }
  list->items->resize(kept);
}

}  // namespace

void unique_items(Value& node, std::string_view list) {
  if (node.is_mapping()) unique_by(node.find(list), name_of);
}

void unique_lists(Value& service) {
  for (const auto key : {"cap_add", "cap_drop", "dns", "dns_search", "dns_opt", "expose", "links", "profiles", "tmpfs"})
    unique_items(service, key);
  unique_by(service.find("devices"), device_of);
  unique_by(service.find("configs"), use_of);
  unique_by(service.find("secrets"), use_of);
  unique_by(service.find("env_file"), env_file_of);
  if (Value* build = service.find("build"); build != nullptr && build->is_mapping()) unique_items(*build, "tags");
  if (Value* networks = service.find("networks"); networks != nullptr && networks->is_mapping())
    for (Entry& use : *networks->entries)
      for (const auto key : {"aliases", "link_local_ips"}) unique_items(*use.value, key);
}

}  // namespace dm::compose

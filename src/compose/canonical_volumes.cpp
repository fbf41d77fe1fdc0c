#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "compose/forms.hpp"

namespace dm::compose {
namespace {

/// Can the text be split although its variables are not known yet?
bool plain_parts(std::string_view text) {
  return !text.empty() && std::ranges::count(text, ':') <= 2 && text.front() != ':' && text.back() != ':' && text.find("::") == std::string_view::npos;
}

Value* short_mount(const Value& item, Context& context) {
  Arena& arena = context.project.arena;
  const auto text = item.text;
  Value* map = arena.make(Kind::mapping, item.where);
  map->chain = item.chain;
  map->segments = item.segments;
  map->entries->reserve(5);
  const auto put = [&](std::string_view key, std::string_view part) {
    map->entries->push_back({key, {}, arena.string(part, item.where)});
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
    context.error(item.where, fmt::format("invalid volume '{}'", text), "[SOURCE:]TARGET[:ro]; an unset variable may have left a gap");
    return map;
  }
  const bool named = parts.size() > 1;
  const auto source = named ? parts[0] : std::string_view();
  const bool bind = source.starts_with('/') || source.starts_with('.') || source.starts_with('~') ||
                    source.starts_with("\\\\") || (source.size() > 2 && source[1] == ':');
  put("type", bind ? "bind" : "volume");
  if (named) put("source", source);
  put("target", named ? parts[1] : parts[0]);
  Value* volume = arena.make(Kind::mapping);
  if (parts.size() == 3) {
    auto options = parts[2];
    while (!options.empty()) {
      const auto comma = std::min(options.find(','), options.size());
      const auto option = options.substr(0, comma);
      if (option == "ro") map->entries->push_back({"read_only", {}, arena.boolean(true, item.where)});
      if (option == "nocopy") volume->entries->push_back({"nocopy", {}, arena.boolean(true)});
      if (option == "z" || option == "Z") put("selinux", option);
      if (bind && option.find("shared") != std::string_view::npos) put("propagation", option);
      if (bind && option.find("slave") != std::string_view::npos) put("propagation", option);
      options.remove_prefix(std::min(comma + 1, options.size()));
    }
  }
  if (bind || map->find("selinux") != nullptr) {
    Value* options = arena.make(Kind::mapping);
    for (const auto key : {"selinux", "propagation"}) {
      if (Value* found = map->find(key); found != nullptr) options->entries->push_back({key, {}, found});
      erase(*map, key);
    }
    if (bind) options->entries->push_back({"create_host_path", {}, arena.boolean(true)});
    map->entries->push_back({"bind", {}, options});
  }
  if (bind) return map;
  if (text.size() > 2 || !volume->entries->empty()) {
    map->entries->push_back({"volume", {}, volume});
  }
  return map;
}

}  // namespace

void canonical_volumes(Value& node, Context& context) {
  Value* value = node.find("volumes");
  if (value == nullptr || !value->is_sequence()) return;
  for (Value*& item : *value->items)
    if (item->is_string() && (context.project.interpolated || plain_parts(item->text))) item = short_mount(*item, context);
  // unique by target: the last one wins, at the first one's place
  std::vector<Value*> out;
  std::unordered_map<std::string_view, std::size_t> places;
  for (Value* item : *value->items) {
    Value* target = item->find("target");
    if (target != nullptr && target->is_string() && target->text.starts_with('/'))
      target->text = context.project.arena.keep(sources::clean_path(target->text));
    else if (target != nullptr && target->is_string())  // a Windows drive
      while (target->text.ends_with('/')) target->text.remove_suffix(1);
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

}  // namespace dm::compose

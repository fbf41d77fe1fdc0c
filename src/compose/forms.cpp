#include "compose/forms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "compose/details.hpp"
#include "compose/units.hpp"

namespace dm::compose {

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

void Forms::key_values(Value& node, std::string_view key, std::string_view separator, bool environment, bool inherits) {
  Value* value = node.find(key);
  if (value == nullptr) return;
  if (value->is_sequence()) {
    Value* map = arena_.make(Kind::mapping, value->where);
    map->chain = value->chain;
    map->entries->reserve(value->items->size());
    std::unordered_map<std::string_view, std::size_t> places;
    for (Value* item : *value->items) {
      if (!item->is_scalar()) continue;
      const auto text = item->is_string() ? item->text : arena_.keep(scalar_text(*item));
      const auto cut = text.find(separator);
      Value* content = item;  // the item becomes the value
      content->kind = cut != std::string_view::npos || !environment ? Kind::string : Kind::null;
      content->text = cut != std::string_view::npos ? text.substr(cut + separator.size()) : std::string_view();
      if (environment && text.substr(0, cut).ends_with(' '))
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
      if (environment && inherits) inherit(item);
      else if (environment) continue;
      else *item.value = *arena_.string("", item.value->where);
    } else if (item.value->is_scalar() && !item.value->is_string()) {
      item.value->text = arena_.keep(scalar_text(*item.value));
      item.value->kind = Kind::string;
    }
  }
}

void Forms::inherit(Entry& item) {
  const auto found = context_.project.environment.find(item.key);
  if (found == context_.project.environment.end()) return;
  const auto where = item.value->where;
  item.value = arena_.string(found->second.value, where);
  auto* segments = arena_.segments();
  segments->push_back({Segment::Kind::variable, true, item.key, 0, static_cast<std::uint32_t>(found->second.value.size()),
                       item.key_where, found->second.where});
  item.value->segments = segments;
}

void Forms::string_map(Value* map) {
  if (map == nullptr || !map->is_mapping()) return;
  for (Entry& item : *map->entries) {
    if (!item.value->is_scalar() || item.value->is_string()) continue;
    item.value->text = item.value->is_null() ? std::string_view() : arena_.keep(scalar_text(*item.value));
    item.value->kind = Kind::string;
  }
}

void Forms::listify(Value& node, std::string_view key) {
  Value* value = node.find(key);
  if (value == nullptr || !value->is_string()) return;
  Value* list = arena_.make(Kind::sequence, value->where);
  list->items->push_back(value);
  set(node, key, list);
}

void Forms::strings(Value& node, std::string_view key) {
  Value* value = node.find(key);
  if (value == nullptr || !value->is_sequence()) return;
  for (Value* item : *value->items) {
    if (!item->is_scalar() || item->is_string()) continue;
    item->text = arena_.keep(scalar_text(*item));
    item->kind = Kind::string;
  }
}

void Forms::command(Value& node, std::string_view key) {
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

void Forms::text_of(Value& node, std::string_view key) {
  Value* value = node.find(key);
  if (value == nullptr || value->is_string() || !value->is_scalar()) return;
  value->text = arena_.keep(scalar_text(*value));
  value->kind = Kind::string;
}

void Forms::named_list(Value& node, std::string_view key) {
  Value* value = node.find(key);
  if (value == nullptr || !value->is_sequence()) return;
  Value* map = arena_.make(Kind::mapping, value->where);
  for (Value* item : *value->items) set(*map, item->text, arena_.make(Kind::null, item->where), item->where);
  set(node, key, map);
}

void Forms::file_uses(Value& node, std::string_view key, bool targets) {
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
    if (Value* mode = item->find("mode"); mode != nullptr && context_.project.interpolated) file_mode(*mode, context_);
  }
}

void Forms::whole_number(Value& node, std::string_view key) {
  Value* value = node.find(key);
  if (value == nullptr || !value->is_string()) return;
  const auto parsed = parse_bytes(value->text);
  if (!parsed || value->text.find_first_not_of("0123456789") != std::string_view::npos) return;
  value->kind = Kind::integer;
  value->integer = static_cast<std::int64_t>(*parsed);
}

void Forms::ulimits(Value& node) {
  Value* value = node.find("ulimits");
  if (value == nullptr || !value->is_mapping()) return;
  for (Entry& item : *value->entries) {
    whole_number(*value, item.key);
    if (item.value->is_mapping()) whole_number(*item.value, "soft"), whole_number(*item.value, "hard");
  }
  for (Entry& item : *value->entries)
    if (item.value->kind == Kind::integer && item.value->integer == 0) item.value = arena_.make(Kind::mapping, item.value->where);
}

void Forms::extra_hosts(Value& node) {
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

void Forms::bytes(Value& node, std::string_view key) {
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

void Forms::duration(Value& node, std::string_view key) {
  Value* value = node.find(key);
  if (value == nullptr || value->is_null()) return;
  const auto parsed = value->is_string() ? parse_duration(value->text) : std::nullopt;
  if (!parsed) {
    context_.error(value->where, fmt::format("'{}' is not a duration: '{}'", key, value->text), "a number with a unit, such as 30s or 1m30s");
    return;
  }
  value->text = arena_.keep(format_duration(*parsed));
}

void Forms::real_text(Value& value) {
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

}  // namespace dm::compose

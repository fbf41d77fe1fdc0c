#include "compose/details.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "compose/units.hpp"

namespace dm::compose {
namespace {

void to_text(Value* map, Context& context) {
  if (map == nullptr || !map->is_mapping()) return;
  for (Entry& item : *map->entries) {
    if (!item.value->is_scalar() || item.value->is_string()) continue;
    if (item.value->kind == Kind::integer) item.value->text = context.project.arena.keep(fmt::format("{}", item.value->integer));
    else if (item.value->kind == Kind::real) item.value->text = context.project.arena.keep(format_plain(item.value->real));
    else if (item.value->kind == Kind::boolean) item.value->text = item.value->boolean ? "true" : "false";
    else item.value->text = {};
    item.value->kind = Kind::string;
  }
}

void size_text(Value& node, std::string_view key, Context& context) {
  Value* value = node.is_mapping() ? node.find(key) : nullptr;
  if (value == nullptr || value->is_null() || !value->is_scalar()) return;
  const auto parsed = value->kind == Kind::integer ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(value->integer))
                                                   : value->is_string() ? parse_bytes(value->text) : std::nullopt;
  if (!parsed) {
    context.error(value->where, fmt::format("'{}' is not a size: '{}'", key, value->text), "a number with b, k, m or g, such as 512m");
    return;
  }
  value->kind = Kind::string;
  value->text = context.project.arena.keep(fmt::format("{}", *parsed));
}

/// Compose prints these with the capital names of its own fields.
void block_io(Value* node, Context& context) {
  if (node == nullptr || !node->is_mapping()) return;
  for (Entry& list : *node->entries) {
    if (!list.value->is_sequence()) continue;
    for (Value* item : *list.value->items) {
      if (!item->is_mapping()) continue;
      size_text(*item, "rate", context);
      for (Entry& part : *item->entries) {
        if (part.key == "path") part.key = "Path";
        if (part.key == "rate") part.key = "Rate";
        if (part.key == "weight") part.key = "Weight";
      }
    }
  }
}

}  // namespace

std::uint64_t unsigned_of(const Value& value) {
  if (value.kind != Kind::real || !(value.real >= 9.2e18 && value.real < 1.85e19)) return 0;
  std::string text;  // 0x..., 0b..., 0o..., with underscores
  for (const char c : value.text)
    if (c != '_') text += c;
  int base = 10;
  std::size_t from = 0;
  if (text.starts_with("0x") || text.starts_with("0X")) base = 16, from = 2;
  else if (text.starts_with("0b") || text.starts_with("0B")) base = 2, from = 2;
  else if (text.starts_with("0o") || text.starts_with("0O")) base = 8, from = 2;
  else if (text.starts_with('0') && text.size() > 1) base = 8, from = 1;
  std::uint64_t whole = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + from, end, whole, base);
  return error == std::errc() && stop == end ? whole : 0;
}

void file_mode(Value& mode, Context& context) {
  std::int64_t bits = mode.integer;
  if (mode.is_string()) {
    const auto* end = mode.text.data() + mode.text.size();
    const auto [stop, error] = std::from_chars(mode.text.data(), end, bits, 8);
    if (error != std::errc() || stop != end) {
      context.error(mode.where, fmt::format("'{}' is no file mode", mode.text), "octal digits, such as 0440");
      return;
    }
  } else if (mode.kind != Kind::integer) {
    return;
  }
  mode.kind = Kind::string;
  mode.text = context.project.arena.keep(fmt::format("0{:o}", bits));
}

void device_requests(Value* list, Context& context) {
  if (list == nullptr || !list->is_sequence()) return;
  Arena& arena = context.project.arena;
  for (Value* item : *list->items) {
    if (!item->is_mapping()) continue;
    Value* count = item->find("count");
    const Value* ids = item->find("device_ids");
    if (count != nullptr && ids != nullptr)
      context.error(item->where, "`count` and `device_ids` of a device are exclusive", "keep one");
    if (count == nullptr) {
      if (ids == nullptr) item->entries->push_back({"count", {}, arena.integer(-1)});
    } else if (count->is_string()) {
      std::int64_t number = -1;
      const auto* end = count->text.data() + count->text.size();
      const auto [stop, error] = std::from_chars(count->text.data(), end, number);
      if (count->text != "all" && (error != std::errc() || stop != end))
        context.error(count->where, fmt::format("'{}' is no count of devices", count->text), "a number or 'all'");
      set(*item, "count", arena.integer(count->text == "all" ? -1 : number, count->where));
    }
    if (Value* options = item->find("options"); options != nullptr && options->is_sequence()) {
      Value* map = arena.make(Kind::mapping, options->where);
      for (const Value* option : *options->items) {
        const auto cut = option->text.find('=');
        set(*map, option->text.substr(0, cut), arena.string(cut == std::string_view::npos ? std::string_view() : option->text.substr(cut + 1), option->where), option->where);
      }
      set(*item, "options", map);
    }
    to_text(item->find("options"), context);
    static constexpr std::string_view kKnown[] = {"capabilities", "count", "device_ids", "driver", "options"};
    std::erase_if(*item->entries, [](const Entry& entry) { return std::ranges::find(kKnown, entry.key) == std::end(kKnown) && !entry.key.starts_with("x-"); });
  }
}

void details(Value& service, Context& context) {
  Arena& arena = context.project.arena;
  block_io(service.find("blkio_config"), context);
  if (Value* swappiness = service.find("mem_swappiness"); swappiness != nullptr) size_text(service, "mem_swappiness", context);
  to_text(service.find("storage_opt"), context);
  if (Value* networks = service.find("networks"); networks != nullptr && networks->is_mapping())
    for (Entry& use : *networks->entries)
      if (use.value->is_mapping()) to_text(use.value->find("driver_opts"), context);
  Value* mounts = service.find("volumes");
  if (mounts == nullptr || !mounts->is_sequence()) return;
  for (Value* item : *mounts->items) {
    if (!item->is_mapping()) continue;
    if (Value* options = item->find("tmpfs"); options != nullptr) size_text(*options, "size", context);
    Value* volume = item->find("volume");
    Value* labels = volume != nullptr ? volume->find("labels") : nullptr;
    if (labels == nullptr) continue;
    if (labels->is_sequence()) {
      Value* map = arena.make(Kind::mapping, labels->where);
      for (const Value* label : *labels->items) {
        const auto cut = label->text.find('=');
        set(*map, label->text.substr(0, cut), arena.string(cut == std::string_view::npos ? std::string_view() : label->text.substr(cut + 1), label->where), label->where);
      }
      set(*volume, "labels", map);
      labels = map;
    }
    to_text(labels, context);
  }
}

}  // namespace dm::compose

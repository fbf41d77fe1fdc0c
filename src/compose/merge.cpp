#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "compose/stages.hpp"

namespace dm::compose {
namespace {

using Path = std::vector<std::string_view>;

/// How two values at one path become one. Paths use `*` for any name.
enum class How : std::uint8_t { deep, replace, append, as_map /* list and map forms by key */, depends_on, named, logging };

struct Row {
  std::string_view path;
  How how;
};
constexpr Row kRows[] = {
    {"services.*.command", How::replace},
    {"services.*.entrypoint", How::replace},
    {"services.*.healthcheck.test", How::replace},
    {"services.*.ulimits.*", How::replace},
    {"services.*.environment", How::as_map},
    {"services.*.labels", How::as_map},
    {"services.*.annotations", How::as_map},
    {"services.*.sysctls", How::as_map},
    {"services.*.deploy.labels", How::as_map},
    {"services.*.build.args", How::as_map},
    {"services.*.build.labels", How::as_map},
    {"services.*.build.additional_contexts", How::as_map},
    {"networks.*.labels", How::as_map},
    {"volumes.*.labels", How::as_map},
    {"secrets.*.labels", How::as_map},
    {"configs.*.labels", How::as_map},
    {"services.*.depends_on", How::depends_on},
    {"services.*.networks", How::named},
    {"services.*.models", How::named},
    {"services.*.logging", How::logging},
};

How how_at(const Path& path) {
  for (const Row& row : kRows) {
    auto pattern = row.path;
    bool match = true;
    for (std::size_t i = 0; match; ++i) {
      const auto dot = pattern.find('.');
      const auto part = pattern.substr(0, dot);
      match = i < path.size() && (part == "*" || part == path[i]);
      if (dot == std::string_view::npos) {
        match = match && i + 1 == path.size();
        break;
      }
      pattern.remove_prefix(dot + 1);
    }
    if (match) return row.how;
  }
  return How::append;
}

class Merger {
 public:
  explicit Merger(Context& context) : context_(context) {}

  Value* merge(Value* base, Value* over) {  // NOLINT(misc-no-recursion): bounded by the parser
    if (over->tag == Tag::override_) {
      over->tag = Tag::none;
      return over;
    }
    if (over->is_null()) return path_.size() == 3 && path_[0] == "services" && (path_[2] == "command" || path_[2] == "entrypoint") ? over : base;
    if (base->is_null()) return over;
    if (path_.size() == 3 && path_[0] == "services" && path_[2] == "build") {
      base = build_form(base);
      over = build_form(over);
    }
    switch (how_at(path_)) {
      case How::replace: return over;
      case How::as_map: return as_map(base, "=")->is_mapping() && as_map(over, "=")->is_mapping() ? key_maps(as_map(base, "="), as_map(over, "="))
                                                                                             : over;
      case How::depends_on: return depends(base, over);
      case How::named: return maps(as_map(base, ""), as_map(over, ""));
      case How::logging: {
        const Value* a = base->find("driver");
        const Value* b = over->find("driver");
        if (a != nullptr && b != nullptr && a->text != b->text) return over;
        break;
      }
      case How::deep:
      case How::append: break;
    }
    if (is_extra_hosts()) return hosts(as_list(base), as_list(over));
    if (base->is_mapping() && over->is_mapping()) return maps(base, over);
    if (path_.size() == 4 && path_[0] == "networks" && path_[2] == "ipam" && path_[3] == "config" && base->is_sequence() && over->is_sequence())
      return subnets(base, over);
    if (base->is_sequence() && over->is_sequence()) {
      for (Value* item : *over->items) base->items->push_back(item);
      return base;
    }
    if (base->is_sequence() && over->is_scalar()) {  // `env_file: x` after a list, `dns: x` ...
      base->items->push_back(over);
      return base;
    }
    if (base->is_scalar() && over->is_sequence()) {
      Value* list = context_.project.arena.make(Kind::sequence, base->where);
      list->items->push_back(base);
      for (Value* item : *over->items) list->items->push_back(item);
      return list;
    }
    if (base->is_scalar() != over->is_scalar()) {
      context_.error(over->where, "cannot override a value of another kind", "write it in the same form as the file before");
      return base;
    }
    return over;
  }

 private:
  /// Two forms of `environment` and the like: a name without value in the later file hides the earlier value.
  Value* key_maps(Value* base, Value* over) {
    for (Entry& entry : *over->entries) {
      Entry* known = nullptr;
      for (Entry& candidate : *base->entries)
        if (candidate.key == entry.key) known = &candidate;
      if (known == nullptr) base->entries->push_back(entry);
      else known->value = entry.value;
    }
    return base;
  }

  Value* maps(Value* base, Value* over) {  // NOLINT(misc-no-recursion)
    std::unordered_map<std::string_view, std::size_t> index;
    const bool wide = base->entries->size() > 16;
    if (wide)
      for (std::size_t i = 0; i < base->entries->size(); ++i) index.emplace((*base->entries)[i].key, i);
    for (Entry& entry : *over->entries) {
      Entry* known = nullptr;
      if (wide) {
        if (const auto found = index.find(entry.key); found != index.end()) known = &(*base->entries)[found->second];
      } else {
        for (Entry& candidate : *base->entries)
          if (candidate.key == entry.key) known = &candidate;
      }
      if (known == nullptr) {
        if (wide) index.emplace(entry.key, base->entries->size());
        base->entries->push_back(entry);
        continue;
      }
      path_.push_back(entry.key);
      known->value = merge(known->value, entry.value);
      path_.pop_back();
    }
    return base;
  }

  Value* as_map(Value* value, std::string_view separator) {
    if (!value->is_sequence()) return value;
    Value* map = context_.project.arena.make(Kind::mapping, value->where);
    for (Value* item : *value->items) {
      if (!item->is_scalar()) continue;
      const auto cut = separator.empty() ? std::string_view::npos : item->text.find(separator);
      Value* content = context_.project.arena.make(Kind::null, item->where);
      if (cut != std::string_view::npos) {
        *content = *item;
        content->kind = Kind::string;
        content->text = item->text.substr(cut + 1);
      }
      set(*map, item->text.substr(0, cut), content, item->where);
    }
    return map;
  }

  bool is_extra_hosts() const {
    return path_.size() >= 3 && path_[0] == "services" && path_.back() == "extra_hosts" && (path_.size() == 3 || (path_.size() == 4 && path_[2] == "build"));
  }

  /// What the earlier file has already is not added again; a line that one file has twice stays an error.
  static Value* hosts(Value* base, Value* over) {
    if (!base->is_sequence() || !over->is_sequence()) return over;
    const auto before = base->items->size();
    for (Value* item : *over->items) {
      const auto known = base->items->begin() + static_cast<std::ptrdiff_t>(before);
      if (std::none_of(base->items->begin(), known, [&](const Value* other) { return other->text == item->text; })) base->items->push_back(item);
    }
    return base;
  }

  /// Hosts with several addresses are kept apart, so lists and not maps are joined.
  Value* as_list(Value* value) {
    if (!value->is_mapping()) return value;
    auto& arena = context_.project.arena;
    Value* list = arena.make(Kind::sequence, value->where);
    const auto add = [&](const Entry& host, const Value& address) {
      if (address.is_scalar()) list->items->push_back(arena.string(fmt::format("{}={}", host.key, address.text), address.where));
    };
    for (const Entry& host : *value->entries) {
      if (host.value->is_sequence())
        for (const Value* address : *host.value->items) add(host, *address);
      else add(host, *host.value);
    }
    return list;
  }

  /// Address pools of a network, as Compose merges them: those of one subnet become one; an earlier pool whose subnet the
  /// later file does not name is lost.
  Value* subnets(Value* base, Value* over) {  // NOLINT(misc-no-recursion)
    const auto subnet = [](const Value* pool) {
      const Value* value = pool->find("subnet");
      return value != nullptr ? value->text : std::string_view();
    };
    Value* out = context_.project.arena.make(Kind::sequence, over->where);
    const auto known = [&](std::string_view name) { return std::ranges::find_if(*out->items, [&](const Value* pool) { return subnet(pool) == name; }); };
    for (Value* original : *base->items)
      for (Value* later : *over->items) {
        if (!original->is_mapping() || !later->is_mapping()) continue;
        if (subnet(original) != subnet(later) && known(subnet(later)) == out->items->end()) {
          out->items->push_back(later);
          continue;
        }
        Value* merged = maps(original, later);
        if (const auto place = known(subnet(merged)); place != out->items->end()) *place = merged;
        else out->items->push_back(merged);
      }
    return out;
  }

  Value* build_form(Value* value) {
    if (!value->is_string()) return value;
    Value* map = context_.project.arena.make(Kind::mapping, value->where);
    map->entries->push_back({"context", value->where, value});
    return map;
  }

  Value* depends(Value* base, Value* over) {
    return maps(long_form(base), long_form(over));
  }

  Value* long_form(Value* value) {
    if (!value->is_sequence()) return value;
    auto& arena = context_.project.arena;
    Value* map = arena.make(Kind::mapping, value->where);
    for (Value* item : *value->items) {
      Value* content = arena.make(Kind::mapping, item->where);
      content->entries->push_back({"condition", {}, arena.string("service_started")});
      content->entries->push_back({"required", {}, arena.boolean(true)});
      set(*map, item->text, content, item->where);
    }
    return map;
  }

  Context& context_;
  Path path_;
};

}  // namespace

Value* merge(Value* base, Value* over, Context& context) { return Merger(context).merge(base, over); }

}  // namespace dm::compose

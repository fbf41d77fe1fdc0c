/// Walks the merged file along the tables of schema_table.cpp; the few rules that are no table come after it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "compose/nearest.hpp"
#include "compose/schema_table.hpp"
#include "compose/stages.hpp"

namespace dm::compose {
namespace {

char letter(const Value& value) {
  switch (value.kind) {
    case Kind::null: return '0';
    case Kind::boolean: return 'b';
    case Kind::integer: return 'i';
    case Kind::real: return value.real == std::trunc(value.real) && std::abs(value.real) < 9e18 ? 'i' : 'n';  // 2.0 is whole
    case Kind::string: return value.tag == Tag::date ? 'd' : 's';
    case Kind::sequence: return 'l';
    case Kind::mapping: return 'm';
  }
  return '?';
}

std::string expected(std::string_view kinds) {
  std::string out;
  for (const char c : kinds) {
    const std::string_view name = c == 's' ? "a string" : c == 'i' ? "a whole number" : c == 'n' ? "a number" : c == 'b' ? "true or false"
                                  : c == 'l' ? "a list" : c == 'm' ? "a mapping" : "nothing";
    out += out.empty() ? "" : " or ";
    out += name;
  }
  return out;
}

std::string_view found(const Value& value) {
  switch (value.kind) {
    case Kind::null: return "empty";
    case Kind::boolean: return "true or false";
    case Kind::integer:
    case Kind::real: return "a number";
    case Kind::string: return value.tag == Tag::date ? "a date" : "a string";
    case Kind::sequence: return "a list";
    case Kind::mapping: return "a mapping";
  }
  return "";
}

/// Is `word` one of "a|b|c"?
bool listed(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const auto bar = words.find('|');
    if (words.substr(0, bar) == word) return true;
    words.remove_prefix(bar == std::string_view::npos ? words.size() : bar + 1);
  }
  return false;
}

std::string sentence(std::string_view words) {
  std::string out;
  for (const char c : words) {
    if (c == '|') out += ", ";
    else out += c;
  }
  if (const auto last = out.rfind(", "); last != std::string::npos) out.replace(last, 2, " or ");
  return out;
}

bool name_fine(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

bool same(const Value& a, const Value& b) {
  return a.kind == b.kind && (a.kind == Kind::integer ? a.integer == b.integer : a.is_scalar() && a.text == b.text);
}

const std::set<std::string_view> kDuration{"interval", "timeout", "start_period", "start_interval", "stop_grace_period", "delay", "monitor", "window"};

class Checker {
 public:
  explicit Checker(Context& context) : context_(context) {}

  bool file(const Value& root) {
    mapping(root, kFileShape);
    if (const Value* services = root.find("services"); services != nullptr && services->is_mapping())
      for (const Entry& entry : *services->entries) {
        path_ = {"services", entry.key};
        service(*entry.value);
      }
    return fine_;
  }

 private:
  // NOLINTBEGIN(misc-no-recursion): bounded by the depth of the table
  void mapping(const Value& node, const Shape& shape) {
    const Entry* empty = nullptr;  // the entry just before, where it has no value but needs one
    for (const Entry& entry : *node.entries) {
      if (shape.extensions && entry.key.starts_with("x-")) continue;
      const auto known = std::ranges::find(shape.fields, entry.key, &Field::name);
      const Spec* spec = known != shape.fields.end() ? &known->spec : shape.any;
      if (spec == nullptr) {
        if (empty == nullptr && !shape.open) unknown(entry, shape);
        else if (empty != nullptr) slipped(*empty, entry);
        continue;
      }
      if (spec == shape.any && !name(entry)) continue;
      if (empty != nullptr && spec == kFileShape.fields[kServicesField].spec.map->any && !entry.value->is_mapping() && service_key(entry.key)) {
        slipped(*empty, entry);
        continue;
      }
      empty = entry.value->is_null() && spec->kinds.find('0') == std::string_view::npos && &entry != &node.entries->back() ? &entry : nullptr;
      path_.push_back(entry.key);
      value(*entry.value, *spec, entry.key_where);
      path_.pop_back();
    }
    for (auto rest = shape.required; !rest.empty();) {
      const auto bar = rest.find('|');
      const auto key = rest.substr(0, bar);
      if (node.find_entry(key) == nullptr) missing(node, key);
      rest.remove_prefix(bar == std::string_view::npos ? rest.size() : bar + 1);
    }
  }

  void value(const Value& node, const Spec& spec, Location key_where) {
    const char kind = letter(node);
    const auto where = node.where ? node.where : key_where;
    if (spec.kinds.find(kind) == std::string_view::npos && (kind != 'i' || spec.kinds.find('n') == std::string_view::npos))
      return wrong_kind(node, spec, where);
    if (kind == 's' && !spec.words.empty() && !listed(spec.words, node.text))
      return error(where, fmt::format("{} cannot be '{}'", here(), node.text), fmt::format("expected {}", sentence(spec.words)));
    if (kind == 'i' && node.kind == Kind::integer && (node.integer < spec.least || node.integer > spec.most))
      return error(where, fmt::format("{} cannot be {}", here(), node.integer),
                   spec.most < std::numeric_limits<std::int64_t>::max() ? fmt::format("expected {} to {}", spec.least, spec.most) : fmt::format("expected {} or more", spec.least));
    if (kind == 'm' && spec.map != nullptr) mapping(node, *spec.map);
    if (kind != 'l') return;
    if (spec.item != nullptr) {
      ++lists_;
      for (const Value* item : *node.items) value(*item, *spec.item, where);
      --lists_;
    }
    if (spec.distinct) no_item_twice(node);
  }
  // NOLINTEND(misc-no-recursion)

  void wrong_kind(const Value& node, const Spec& spec, Location where) {
    const bool quotable = node.is_scalar() && !node.is_null() && spec.kinds.find('s') != std::string_view::npos;
    std::string hint = node.is_null() ? "remove it, or give it a value" : quotable ? fmt::format("quote it: \"{}\"", context_.project.texts.text(where)) : std::string();
    const auto text = node.is_scalar() ? context_.project.texts.text(where) : std::string_view();
    if (kDuration.contains(path_.back()) && (node.kind == Kind::integer || node.kind == Kind::real)) hint = fmt::format("write a unit: {0}s, or {0}m", text);
    else if (path_.back() == "restart" && node.kind == Kind::boolean) hint = "write restart: \"no\"";
    else if (node.is_mapping() && lists_ > 0 && spec.kinds == "s" && node.entries->size() == 1)
      hint = "': ' makes a mapping of the item: write NAME=VALUE after the '-', or leave the '-' away in all items";
    else if (node.is_scalar() && !node.is_null() && text.size() < 80 && text.find('\n') == std::string_view::npos && spec.kinds.find('l') != std::string_view::npos)
      hint = fmt::format("write it as a list: [{}]", text.find_first_of("\"'") == std::string_view::npos ? fmt::format("\"{}\"", text) : std::string(text));
    else if (node.is_string() && spec.kinds.find('l') != std::string_view::npos) hint = "put '- ' before each item, each on its own line";
    else if (node.is_sequence() && path_.size() == 1 && path_[0] == "services") hint = "write each service as `name:` without '-', its keys indented below";
    else if (node.is_sequence() && spec.kinds == "s") hint = "one value, without '-' and brackets";
    if (path_.size() == 2 && path_[0] == "services" && !node.is_mapping()) hint = "indent its keys below the name";
    error(where, fmt::format("{}{} must be {}, not {}", lists_ > 0 ? "an item of " : "", here(), expected(spec.kinds), found(node)), std::move(hint));
  }

  void unknown(const Entry& entry, const Shape& shape) {
    Nearest nearest(entry.key);
    for (const Field& field : shape.fields) nearest.offer(field.name);
    std::string hint = nearest.hint(belongs(entry.key));
    if (path_.empty() && entry.value->is_mapping() && nearest.name().empty()) hint = "services stand below `services:`, indented";
    if (hint.empty()) hint = "remove it, check its indentation, or name it x-...";
    error(entry.key_where, path_.empty() ? fmt::format("unknown key '{}' at the top of the file", entry.key) : fmt::format("unknown key '{}' in {}", entry.key, here()), std::move(hint));
  }

  /// A key that is known one place further up or down: most often an indentation that slipped.
  std::string belongs(std::string_view key) const {
    const auto field = [&](const Shape& shape, std::string_view name) -> const Field* {
      const auto at = std::ranges::find(shape.fields, name, &Field::name);
      return at != shape.fields.end() ? &*at : nullptr;
    };
    const Shape* service = kFileShape.fields[kServicesField].spec.map->any->map;
    if (path_.empty() && field(*service, key) != nullptr) return fmt::format("'{}' belongs to a service: indent it below the service's name", key);
    if (path_.size() >= 2 && path_[0] == "services") {
      if (path_.size() > 2 && field(*service, key) != nullptr) return fmt::format("'{}' belongs to the service: indent it as '{}' is", key, path_[2]);
      if (field(kFileShape, key) != nullptr) return fmt::format("'{}:' belongs to the top of the file, without indentation", key);
      for (const Field& candidate : service->fields)
        if (candidate.spec.map != nullptr && path_.size() == 2 && field(*candidate.spec.map, key) != nullptr)
          return fmt::format("'{}' belongs below '{}:'", key, candidate.name);
    }
    return {};
  }

  static bool service_key(std::string_view key) {
    const Field& services = kFileShape.fields[kServicesField];
    return std::ranges::find(services.spec.map->any->map->fields, key, &Field::name) != services.spec.map->any->map->fields.end();
  }

  /// A line that was to stand below the empty key before it: said once for all such lines, in place of "is empty".
  void slipped(const Entry& empty, const Entry& entry) {
    auto& last = context_.diagnostics.back();
    const auto where = empty.value->where ? empty.value->where : empty.key_where;
    if (last.where.span.begin != where.span.begin || last.where.file != where.file) return;
    last.where = empty.key_where;
    last.message = fmt::format("'{}' is empty, and '{}' below it is not indented further", empty.key, entry.key);
    last.hint = fmt::format("indent the lines that belong to '{}' by two spaces more than it", empty.key);
  }

  void missing(const Value& node, std::string_view key) {
    error(node.where, fmt::format("{}{} has no `{}`", lists_ > 0 ? "an item of " : "", here(), key), fmt::format("add `{}:`", key));
  }

  /// A name that the user chose. Networks and models may have any, but none may be empty.
  bool name(const Entry& entry) {
    static constexpr std::array<std::string_view, 4> kStrict{"services", "volumes", "secrets", "configs"};
    if (path_.size() == 1 && std::ranges::find(kStrict, path_[0]) != kStrict.end() && !name_fine(entry.key) && !entry.key.starts_with("x-"))
      return error(entry.key_where, fmt::format("'{}' is no name for a {}", entry.key, path_[0].substr(0, path_[0].size() - 1)), "letters, digits, '.', '_' and '-'"), false;
    if (path_.size() == 1 && entry.key.starts_with("x-") && !entry.value->is_mapping()) return false;
    if (!entry.key.empty()) return true;
    error(entry.key_where, fmt::format("an empty name in {}", here()), "give it a name, or remove it");
    return false;
  }

  void no_item_twice(const Value& list) {
    std::set<std::string_view> seen;
    for (const Value* item : *list.items) {
      const bool twice = item->is_string() ? !seen.insert(item->text).second
                                           : std::ranges::any_of(*list.items, [&](const Value* other) { return other < item && other != item && same(*other, *item); });
      if (twice) error(item->where, fmt::format("{} has '{}' twice", here(), item->text), "remove one");
    }
  }

  /// "'limits.memory' of service 'a'".
  std::string here() const {
    if (path_.empty()) return "the file";
    if (path_.size() == 1) return fmt::format("'{}'", path_[0]);
    auto top = path_[0];
    if (top.ends_with('s')) top.remove_suffix(1);
    if (path_.size() == 2) return fmt::format("{} '{}'", top, path_[1]);
    std::string inner;
    for (std::size_t i = 2; i < path_.size(); ++i) inner += fmt::format("{}{}", inner.empty() ? "" : ".", path_[i]);
    return fmt::format("'{}' of {} '{}'", inner, top, path_[1]);
  }

  void service(const Value& node) {
    if (!node.is_mapping()) return;
    if (const Value* name = node.find("container_name"); name != nullptr && name->is_string() && !name->text.empty() && !container_name(name->text))
      error(name->where, fmt::format("'{}' is no container name", name->text), "two or more letters, digits, '_', '.' and '-', beginning with a letter or digit");
    each(node, "volumes", [&](const Value& item) {
      if (item.is_mapping() && item.find("target") == nullptr) error(item.where, fmt::format("a volume of {} has no `target`", here()), "add `target:`");
      else if (item.is_mapping() && item.find("source") == nullptr && item.find("type") != nullptr && item.find("type")->string() == "bind" && context_.options.resolve_paths)
        error(item.where, fmt::format("a bind mount of {} has no `source`", here()), "add `source:`");
    });
    each(node, "ports", [&](const Value& item) {
      if (item.is_mapping() && item.find("target") == nullptr) error(item.where, fmt::format("a port of {} has no `target`", here()), "add `target:`");
    });
    each(node, "expose", [&](const Value& item) {
      if (item.kind == Kind::real) error(item.where, fmt::format("'{}' is no port", item.text), "a whole number, or a string such as \"8000-8010\"");
    });
    if (const Value* policy = node.find("pull_policy"); policy != nullptr && policy->is_string() && !pull_policy(policy->text))
      error(policy->where, fmt::format("'{}' is no pull policy", policy->text), "always, never, missing, build, daily, weekly, or every_ and a time such as every_12h");
    if (const Value* test = node.at({"healthcheck", "test"}); test != nullptr && test->is_sequence() && !test->items->empty() && context_.options.consistency) {
      const auto first = test->items->front()->string();
      if (first != "CMD" && first != "CMD-SHELL" && first != "NONE")
        error(test->items->front()->where, "a healthcheck's test must begin with CMD, CMD-SHELL or NONE", "or write it as one string");
    }
    if (const Value* retries = node.at({"healthcheck", "retries"}); retries != nullptr && retries->kind == Kind::integer && retries->integer < 0)
      error(retries->where, "'healthcheck.retries' cannot be negative", "a whole number, 0 or more");
  }

  template <class F>
  static void each(const Value& node, std::string_view key, F&& body) {
    if (const Value* list = node.find(key); list != nullptr && list->is_sequence())
      for (const Value* item : *list->items) body(*item);
  }

  /// Compose asks only that two such characters stand somewhere in it; the engine then asks for all of it.
  static bool container_name(std::string_view name) {
    const auto letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
    for (std::size_t i = 0; i + 1 < name.size(); ++i)
      if (letter_or_digit(name[i]) && (letter_or_digit(name[i + 1]) || name[i + 1] == '_' || name[i + 1] == '.' || name[i + 1] == '-')) return true;
    return false;
  }

  static bool pull_policy(std::string_view text) {
    static constexpr std::array<std::string_view, 8> kWords{"always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"};
    if (std::ranges::any_of(kWords, [&](auto word) { return text.find(word) != std::string_view::npos; })) return true;
    const auto every = text.find("every_");
    if (every == std::string_view::npos) return false;
    auto rest = text.substr(every + 6);
    const auto digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    return digits > 0 && digits < rest.size() && std::string_view("wdhms").find(rest[digits]) != std::string_view::npos;
  }

  void error(Location where, std::string message, std::string hint) {
    fine_ = false;
    context_.error(where, std::move(message), std::move(hint));
  }

  Context& context_;
  std::vector<std::string_view> path_;
  int lists_ = 0;  // open lists above the present value
  bool fine_ = true;
};

}  // namespace

bool validate(const Value& root, Context& context) { return Checker(context).file(root); }

}  // namespace dm::compose

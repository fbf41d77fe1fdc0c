#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "compose/forms.hpp"
#include "compose/ports.hpp"

namespace dm::compose {
namespace {

/// The last of equal ports wins, at the first one's place. A number and a string in `published` are not equal.
void unique_ports(Value& list) {
  std::unordered_map<std::string, std::size_t> places;
  std::size_t kept = 0;
  for (Value* port : *list.items) {
    std::string key;
    for (const auto part : {"host_ip", "published", "target", "protocol"}) {
      const Value* value = port->find(part);
      if (value != nullptr) key += fmt::format("{}{}", value->kind == Kind::integer && part == std::string_view("published") ? "#" : "", scalar_text(*value));
      key += '|';
    }
    const auto [place, fresh] = places.emplace(std::move(key), kept);
    (*list.items)[place->second] = port;
    if (fresh) ++kept;
  }
  list.items->resize(kept);
}

void long_port(Value& port, Forms& forms, Context& context) {
  Arena& arena = context.project.arena;
  forms.whole_number(port, "target");
  if (const Value* address = port.find("host_ip"); address != nullptr && address->is_string() && !address->text.empty() && !valid_address(address->text))
    context.error(address->where, fmt::format("'{}' is no address", address->text), "an IPv4 or IPv6 address");
  if (port.find("mode") == nullptr) port.entries->push_back({"mode", {}, arena.string("ingress")});
  if (port.find("protocol") == nullptr) port.entries->push_back({"protocol", {}, arena.string("tcp")});
}

}  // namespace

void canonical_ports(Value& node, Forms& forms, Context& context) {
  Arena& arena = context.project.arena;
  Value* value = node.find("ports");
  if (value == nullptr || !value->is_sequence()) return;
  Value* list = arena.make(Kind::sequence, value->where);
  std::set<std::string> seen_text;
  for (Value* item : *value->items) {
    if (item->is_mapping()) {
      long_port(*item, forms, context);
      list->items->push_back(item);
      continue;
    }
    const auto text = item->is_string() ? std::string(item->text) : scalar_text(*item);
    if (!seen_text.insert(text).second) continue;
    auto expanded = parse_port(text);
    if (!expanded && !context.project.interpolated) return;  // a variable is no port: the list stays as written
    if (!expanded) {
      context.error(item->where, fmt::format("invalid port '{}'", text), "[IP:][HOST:]CONTAINER[/udp], ports 1 to 65535");
      continue;
    }
    std::ranges::stable_sort(*expanded, {}, [](const ShortPort& port) {
      return fmt::format("{}:{}:{}/{}", port.host_ip, port.published, port.target, port.protocol);
    });
    for (const ShortPort& port : *expanded) {
      Value* map = arena.make(Kind::mapping, item->where);
      map->segments = item->segments;
      map->entries->reserve(5);
      map->entries->push_back({"mode", {}, arena.string("ingress")});
      if (!port.host_ip.empty()) map->entries->push_back({"host_ip", {}, arena.string(port.host_ip, item->where)});
      map->entries->push_back({"target", {}, arena.integer(port.target, item->where)});
      if (!port.published.empty()) map->entries->push_back({"published", {}, arena.string(port.published, item->where)});
      map->entries->push_back({"protocol", {}, arena.string(port.protocol)});
      list->items->push_back(map);
    }
  }
  unique_ports(*list);
  for (Value* port : *list->items) forms.text_of(*port, "published");
  set(node, "ports", list);
}

}  // namespace dm::compose

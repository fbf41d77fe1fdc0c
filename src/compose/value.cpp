#include "compose/value.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace dm::compose {

const Entry* Value::find_entry(std::string_view key) const {
  if (kind != Kind::mapping) return nullptr;
  for (const Entry& entry : *entries)
    if (entry.key == key) return &entry;
  return nullptr;
}

const Value* Value::find(std::string_view key) const {
  const Entry* entry = find_entry(key);
  return entry != nullptr ? entry->value : nullptr;
}

Value* Value::find(std::string_view key) {
  const Entry* entry = find_entry(key);
  return entry != nullptr ? entry->value : nullptr;
}

const Value* Value::at(std::initializer_list<std::string_view> path) const {
  const Value* here = this;
  for (const auto key : path)
    if (here = here->find(key); here == nullptr) return nullptr;
  return here;
}

Value* Arena::make(Kind kind, Location where) {
  auto* value = new (pool_.allocate(sizeof(Value), alignof(Value))) Value;
  value->kind = kind;
  value->where = where;
  if (kind == Kind::sequence)
    value->items = new (pool_.allocate(sizeof(std::pmr::vector<Value*>), alignof(std::pmr::vector<Value*>)))
        std::pmr::vector<Value*>(&pool_);
  if (kind == Kind::mapping)
    value->entries = new (pool_.allocate(sizeof(std::pmr::vector<Entry>), alignof(std::pmr::vector<Entry>)))
        std::pmr::vector<Entry>(&pool_);
  return value;
}

Value* Arena::string(std::string_view text, Location where) {
  auto* value = make(Kind::string, where);
  value->text = keep(text);
  return value;
}

Value* Arena::boolean(bool truth, Location where) {
  auto* value = make(Kind::boolean, where);
  value->boolean = truth;
  value->text = truth ? "true" : "false";
  return value;
}

Value* Arena::integer(std::int64_t number, Location where) {
  auto* value = make(Kind::integer, where);
  value->integer = number;
  return value;
}

Value* Arena::real(double number, Location where) {
  auto* value = make(Kind::real, where);
  value->real = number;
  return value;
}

// Depth is bounded by the parser, so recursion is safe.
Value* Arena::clone(const Value& value) {  // NOLINT(misc-no-recursion)
  auto* copy = make(value.kind, value.where);
  const auto* items = copy->is_sequence() ? copy->items : nullptr;
  const auto* entries = copy->is_mapping() ? copy->entries : nullptr;
  *copy = value;
  if (items != nullptr) {
    copy->items = const_cast<std::pmr::vector<Value*>*>(items);
    copy->items->reserve(value.items->size());
    for (const Value* item : *value.items) copy->items->push_back(clone(*item));
  }
  if (entries != nullptr) {
    copy->entries = const_cast<std::pmr::vector<Entry>*>(entries);
    copy->entries->reserve(value.entries->size());
    for (const Entry& entry : *value.entries)
      copy->entries->push_back({entry.key, entry.key_where, clone(*entry.value)});
  }
  return copy;
}

std::string_view Arena::keep(std::string_view text) {
  if (text.empty()) return {};
  auto* bytes = static_cast<char*>(pool_.allocate(text.size(), 1));
  std::memcpy(bytes, text.data(), text.size());
  return {bytes, text.size()};
}

std::pmr::vector<Segment>* Arena::segments() {
  return new (pool_.allocate(sizeof(std::pmr::vector<Segment>), alignof(std::pmr::vector<Segment>)))
      std::pmr::vector<Segment>(&pool_);
}

void set(Value& mapping, std::string_view key, Value* value, Location key_where) {
  for (Entry& entry : *mapping.entries) {
    if (entry.key != key) continue;
    entry.value = value;
    if (key_where) entry.key_where = key_where;
    return;
  }
  mapping.entries->push_back({key, key_where, value});
}

bool erase(Value& mapping, std::string_view key) {
  return std::erase_if(*mapping.entries, [&](const Entry& entry) { return entry.key == key; }) > 0;
}

}  // namespace dm::compose

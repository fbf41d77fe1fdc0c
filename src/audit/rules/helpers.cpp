#include "audit/rules/helpers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::audit::rules {

Location place(const compose::Service& service, std::string_view key) {
  const auto* entry = service.node->find_entry(key);
  return entry != nullptr && entry->key_where ? entry->key_where : service.where;
}

bool is_literal(const compose::Value& value) {
  return value.segments == nullptr ||
         std::ranges::all_of(*value.segments, [](const compose::Segment& segment) { return segment.kind == compose::Segment::Kind::literal; });
}

std::string health_command(const compose::Service& service) {
  std::string out;
  if (!service.healthcheck) return out;
  const auto& test = service.healthcheck->test;
  for (std::size_t i = 1; i < test.size(); ++i) {
    if (i > 1) out += ' ';
    out += test[i].value;
  }
  return out;
}

std::string join_names(const Input& input, const std::vector<ServiceId>& services, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(most, services.size()); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ", ", input.project.services[services[i]].name);
  if (services.size() > most) out += fmt::format(" and {} more", services.size() - most);
  return out;
}

}  // namespace dm::audit::rules

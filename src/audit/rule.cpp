#include "audit/rule.hpp"

#include <algorithm>
#include <tuple>

#include "audit/live.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit {

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::critical: return "critical";
    case Severity::high: return "high";
    case Severity::medium: return "medium";
    case Severity::low: return "low";
    case Severity::info: return "info";
  }
  return "unknown";
}

std::string_view to_string(Area area) {
  switch (area) {
    case Area::architecture: return "architecture";
    case Area::security: return "security";
    case Area::operations: return "operations";
    case Area::recovery: return "recovery";
  }
  return "unknown";
}

Finding& Report::add(Location where, ServiceId service, std::string message, std::string evidence, std::string hint) {
  std::vector<ServiceId> services;
  if (service != wiring::kNone) services.push_back(service);
  return add_all({where}, std::move(services), std::move(message), std::move(evidence), std::move(hint));
}

Finding& Report::add_all(std::vector<Location> where, std::vector<ServiceId> services, std::string message,
                         std::string evidence, std::string hint) {
  return out_.emplace_back(Finding{&rule_, rule_.severity, std::move(services), std::move(where), std::move(message),
                                   std::move(evidence), std::move(hint), {}});
}

std::span<const Rule* const> all_rules() {
  static const auto all = [] {
#define DM_LIST_RULE(name) &rules::name,
    std::vector<const Rule*> out{DM_AUDIT_RULES(DM_LIST_RULE)};
#undef DM_LIST_RULE
    for (const auto* live : live_rules()) out.push_back(&live->rule);
    return out;
  }();
  return all;
}

const Rule* find_rule(std::string_view id_or_name) {
  const auto rules = all_rules();
  const auto found =
      std::ranges::find_if(rules, [&](const Rule* rule) { return rule->id == id_or_name || rule->name == id_or_name; });
  return found == rules.end() ? nullptr : *found;
}

std::vector<Finding> audit(const Input& input) {
  std::vector<Finding> findings;
  for (const Rule* rule : all_rules()) {
    Report report(*rule, findings);
    rule->check(input, report);
  }
  std::ranges::stable_sort(findings, {}, [](const Finding& f) {
    return std::tuple(f.severity, f.where.empty() ? Location{} : f.where.front(), f.rule->id);
  });
  return findings;
}

}  // namespace dm::audit

#include "audit/live.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "audit/rules/live_rules.hpp"

namespace dm::audit {

std::span<const LiveRule* const> live_rules() {
#define DM_LIST_RULE(name) &rules::name,
  static constexpr const LiveRule* kRules[] = {DM_LIVE_RULES(DM_LIST_RULE)};
#undef DM_LIST_RULE
  return kRules;
}

void join(std::vector<Finding>& findings, std::vector<Finding> more) {
  std::ranges::move(more, std::back_inserter(findings));
  std::ranges::stable_sort(findings, {}, [](const Finding& f) { return std::tuple(f.severity, f.where.empty() ? Location{} : f.where.front(), f.rule->id); });
}

std::vector<Finding> audit_live(const Input& input, const facts::Facts& facts) {
  std::vector<Finding> findings;
  for (const auto* live : live_rules()) {
    Report report(live->rule, findings);
    live->look(LiveInput{input, &facts}, report);
  }
  std::vector<Finding> sorted;
  join(sorted, std::move(findings));
  return sorted;
}

}  // namespace dm::audit

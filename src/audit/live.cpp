#include "audit/live.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "audit/rules/daemon_settings.hpp"
#include "audit/rules/live_rules.hpp"

namespace dm::audit {

std::span<const LiveRule* const> live_rules() {
  static const auto rules = [] {
#define DM_LIST_RULE(name) &rules::name,
    std::vector<const LiveRule*> out{DM_LIVE_RULES(DM_LIST_RULE)};
#undef DM_LIST_RULE
    for (const auto& one : rules::daemon_settings()) out.push_back(&one);
    std::ranges::sort(out, {}, [](const LiveRule* one) { return one->rule.id; });
    return out;
  }();
  return rules;
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

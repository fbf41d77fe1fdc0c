/// Rules over what was observed on a running stack. They are rules as all others (id, words, examples), but need facts.
#pragma once

#include <span>
#include <vector>

#include "audit/rule.hpp"
#include "facts/facts.hpp"

namespace dm::audit {

struct LiveInput : Input {
  const facts::Facts* facts = nullptr;  ///< never null
};

struct LiveRule {
  Rule rule;                            ///< its `check` finds nothing: files alone cannot tell
  void (*look)(const LiveInput& input, Report& report);  ///< pure
};

std::span<const LiveRule* const> live_rules();
/// Findings of all live rules, ordered as those of `audit`.
std::vector<Finding> audit_live(const Input& input, const facts::Facts& facts);
/// Puts more findings among those of `audit`, in their order.
void join(std::vector<Finding>& findings, std::vector<Finding> more);

}  // namespace dm::audit

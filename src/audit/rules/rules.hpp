/// The catalogue. A new rule adds one line here and one file beside this one. Keep it in id order; a line without its
/// file fails to link, a file without its line fails the catalogue test.
#pragma once

#include "audit/rule.hpp"

// clang-format off
#define DM_AUDIT_RULES(X)   \
  X(privileged)

namespace dm::audit::rules {
#define DM_DECLARE_RULE(name) extern const Rule name;
DM_AUDIT_RULES(DM_DECLARE_RULE)
#undef DM_DECLARE_RULE
}  // namespace dm::audit::rules
// clang-format on

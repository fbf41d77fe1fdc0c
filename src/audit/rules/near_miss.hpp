/// DM0112's eye, which DM0107 asks so that one misspelt variable is one finding.
#pragma once

#include "audit/rule.hpp"

namespace dm::audit::rules {

/// The variable that was meant where `variable` is undefined: defined, used nowhere, and of almost the same name; null for none.
const wiring::VariableInfo* meant_by(const Input& input, const wiring::VariableInfo& variable);

}  // namespace dm::audit::rules

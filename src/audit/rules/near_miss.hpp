/// DM0112's eye, which DM0107 asks so that one misspelt variable is one finding.
#pragma once

#include <vector>

#include "audit/rule.hpp"

namespace dm::audit::rules {

/// Variables that are defined and used nowhere, those with very short names left out: computed once, asked for each of maybe very many.
std::vector<const wiring::VariableInfo*> never_used(const Input& input);
/// The one of them that was meant where `variable` is undefined: of almost the same name; null for none.
const wiring::VariableInfo* meant_by(const std::vector<const wiring::VariableInfo*>& unused, const wiring::VariableInfo& variable);

}  // namespace dm::audit::rules

/// What to add to the project where the mend is the same for many services.
#pragma once

#include <string>
#include <vector>

#include "audit/rule.hpp"

namespace dm::report {

/// Compose YAML that, given as one more `-f` file, removes the findings of `rule` on these services; services for which
/// no figure is known stand in it as comments. "" for rules whose mend needs a person.
std::string fragment(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services);

}  // namespace dm::report

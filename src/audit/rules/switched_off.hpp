/// What a service is told to leave alone, so that its secrets are nobody's.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "compose/project.hpp"

namespace dm::audit::rules {

/// How the variables of these parts begin: "SMTP_" of `SMTP_ENABLED=false`, "APP_S3_" of `APP_USE_S3=false`.
inline std::vector<std::string> switched_off(const compose::Service& service) {
  std::vector<std::string> out;
  for (const auto& variable : service.environment) {
    const auto value = variable.value.value;
    if (value != "false" && value != "False" && value != "0" && value != "off" && value != "no") continue;
    const std::string name(variable.name);
    for (const std::string_view word : {"_ENABLED", "_ENABLE"})
      if (name.ends_with(word)) out.push_back(name.substr(0, name.size() - word.size()) + "_");
    for (const std::string_view word : {"USE_", "ENABLE_"})
      if (const auto at = name.find(word); at != std::string::npos && (at == 0 || name[at - 1] == '_') && name.size() > at + word.size()) out.push_back(std::string(name).erase(at, word.size()) + "_");
  }
  return out;
}

/// The variable begins with one of them.
inline bool belongs_to(const std::vector<std::string>& prefixes, std::string_view variable) {
  return std::ranges::any_of(prefixes, [&](const auto& prefix) { return variable.starts_with(prefix); });
}

}  // namespace dm::audit::rules

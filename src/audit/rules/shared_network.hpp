/// Networks that services share with each other.
#pragma once

#include <set>
#include <string_view>

#include "audit/rule.hpp"

namespace dm::audit::rules {

/// Names of services whose network another one shares (`network_mode: service:NAME`): what is called or published there may be the other's.
inline std::set<std::string_view> lends_network(const Input& input) {
  std::set<std::string_view> out;
  for (const auto& service : input.project.services)
    if (service.network_mode.value.starts_with("service:")) out.insert(service.network_mode.value.substr(8));
  return out;
}

}  // namespace dm::audit::rules

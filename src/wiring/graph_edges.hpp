/// What the printed forms of the graph share. Internal to the module.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wiring/wiring.hpp"

namespace dm::wiring {

/// All that leads from one service to another, merged.
struct Edge {
  ServiceId from = kNone;
  ServiceId to = kNone;
  bool depends = false;                          ///< depends_on
  bool blocked = false;                          ///< they share no network
  bool inactive = false;
  bool guess = true;                             ///< nothing firm leads there
  std::vector<const Reference*> reasons;
};

/// Ordered by from, then to. An edge from a service to itself is none.
std::vector<Edge> edges_of(const Wiring& wiring);

/// What a reader wants to tell apart: "datastore", "proxy", "one-shot", "service".
std::string_view role_of(const Wiring& wiring, ServiceId id);

}  // namespace dm::wiring

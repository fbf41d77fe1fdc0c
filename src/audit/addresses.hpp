/// IPv4 addresses and subnets as networks declare them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "compose/project.hpp"

namespace dm::audit {

/// "172.20.0.5" in host order; nothing for anything else.
std::optional<std::uint32_t> ipv4(std::string_view text);

struct Subnet {
  std::uint32_t base = 0, mask = 0;
  std::string_view text;
  compose::Location where;
  bool holds(std::uint32_t address) const { return (address & mask) == base; }
};

/// The IPv4 subnets under `ipam: config:`.
std::vector<Subnet> subnets(const compose::Network& network);

}  // namespace dm::audit

/// The short form of `ports:`. Internal to the module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dm::compose {

struct ShortPort {
  std::string host_ip;
  std::string published;  ///< "" = random; a range where the container side is one port
  std::uint32_t target = 0;
  std::string protocol;
};

bool valid_address(std::string_view text);  ///< IPv4 or IPv6

/// "[IP:][HOST:]CONTAINER[/PROTOCOL]", ranges expanded. Nothing where malformed.
std::optional<std::vector<ShortPort>> parse_port(std::string_view text);

}  // namespace dm::compose

/// Hosts in configuration files: readers that take what they surely understand and skip the rest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wiring/hosts.hpp"

namespace dm::wiring {

struct ConfigHost {
  HostText host;          ///< views into the text of the file
  std::string_view key;   ///< directive or setting
  bool route = false;     ///< an upstream of a proxy
};

/// "caddyfile", "nginx", "yaml", ... by name and place in the container; "" where the file is none that we read.
std::string_view format_of(std::string_view path, std::string_view target, std::string_view product);

/// Names of `upstream NAME {` blocks of an nginx file: `proxy_pass http://NAME` means the block, not a host.
void nginx_upstreams(std::string_view text, std::vector<std::string_view>& out);

std::vector<ConfigHost> hosts_in_config(std::string_view format, std::string_view text, const std::vector<std::string_view>& upstreams);

}  // namespace dm::wiring

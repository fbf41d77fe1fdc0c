/// Finds hosts in texts: pure functions over one value, which know nothing of the project.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dm::wiring {

/// A host that a text names. Views into the text.
struct HostText {
  enum class Certainty : std::uint8_t {
    surely,    ///< a URL, a DSN, or a name like DB_HOST
    perhaps,   ///< a URL or host that may be the service's own public face: ROOT_URL, APP_HOST
    if_known,  ///< host:port at a place that says nothing: counts only where a service has that name
  };
  std::string_view host;
  std::string_view scheme;             ///< "" if unknown
  std::optional<std::uint16_t> port;
  Certainty certainty = Certainty::surely;
};

/// Hosts in the value of a variable, option or setting called `name` ("" = nothing is known about it).
/// Never: e-mail addresses, paths and sockets, file and image names, time zones, wildcards, template expressions.
std::vector<HostText> hosts_in_value(std::string_view name, std::string_view value);

/// Hosts in the words of a command (`--url=http://x`, `-h db`, `nc -z db 5432`); shell scripts may stand in one word.
std::vector<HostText> hosts_in_command(const std::vector<std::string_view>& words);

/// The number of a port, or nothing: digits only, 1 to 65535.
std::optional<std::uint16_t> port_number(std::string_view text);

/// "DB_PORT" for "DB_HOST", "PGPORT" for "PGHOST"; "" where a name has no partner.
std::string port_partner(std::string_view name);

}  // namespace dm::wiring

/// Which account a sealed variable is the password of, and who uses it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compose/project.hpp"

namespace dm::rotate {

enum class Server { postgres, mariadb, valkey, ldap };
std::string_view to_string(Server server);

/// While a rotation is under way the other value lies sealed beside NAME: the new one under NAME__NEXT until the server has it, then the old one under
/// NAME__PREVIOUS until its users run with the new.
inline constexpr std::string_view kNext = "__NEXT", kPrevious = "__PREVIOUS";

struct Target {
  Server kind = Server::postgres;
  std::string service;        ///< of the server
  std::string account;        ///< role, user, "default", or a DN
};
struct Found {
  std::optional<Target> target;            ///< nothing: the variable is of no server that we know how to change
  std::vector<std::string> users;          ///< services whose environment, command or secrets are made of the variable; the server too
  std::string refusal;                     ///< why it must not be changed blindly, and what to do; "" = it may
};

/// `server` and `account` as the user named them, or "".
Found find_target(const compose::Project& project, std::string_view variable, std::string_view server, std::string_view account);

/// Why a secret of this name must not be replaced by a new one without more; "" where it may.
std::string_view refusal_of(std::string_view variable);

}  // namespace dm::rotate

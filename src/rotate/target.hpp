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

/// A sealed value by the way it reaches services: as a variable of the project, by the lines of a file that services name under `env_file:`, or both.
struct Secret {
  std::string name;
  std::string file{};          ///< absolute path of that file; "" = none
  bool of_project = true;
};

struct Target {
  Server kind = Server::postgres;
  std::string service;        ///< of the server
  std::string account;        ///< role, user, "default", or a DN
};
struct Found {
  std::optional<Target> target;            ///< nothing: the variable is of no server that we know how to change
  bool certain = false;                    ///< the image of the target says so, too: a client may have a variable of the server's name
  std::vector<std::string> users;          ///< services whose environment, command or secrets are made of it; the server too
  std::string refusal;                     ///< why it must not be changed blindly, and what to do; "" = it may
};

/// `server` and `account` as the user named them, or "".
Found find_target(const compose::Project& project, const Secret& secret, std::string_view server, std::string_view account);

/// Why a secret of this name must not be replaced by a new one without more; "" where it may.
std::string_view refusal_of(std::string_view variable);

}  // namespace dm::rotate

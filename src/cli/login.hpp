/// A real first-factor login through the edge, and the question to the daemon's health endpoint; by the `curl` program, which verifies
/// certificates. The password goes to its standard input only.
#pragma once

#include <string>

#include "deploy/check.hpp"

namespace dm::cli {

struct Login {
  std::string url{};            ///< "https://auth.example.org": an Authelia portal; "" = not asked for
  std::string user{}, password_file{};
  std::string ca{};             ///< certificate authority to trust beside the system's
  std::string resolve{};        ///< "HOST:PORT:ADDRESS", as curl's --resolve
};

/// Signs in and asks who is signed in. Unknown where it could not be tried.
deploy::Tried try_login(const Login& login, const Deadline& deadline);
/// Unknown where it answers well (that it fails when it should is for a drill to show), fail where it answers badly.
deploy::Tried ask_health(const std::string& url, const Deadline& deadline);

}  // namespace dm::cli

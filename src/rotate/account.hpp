/// One account on a server in a container: its password changed, and tried.
#pragma once

#include "engine/engine.hpp"
#include "rotate/target.hpp"
#include "secrets/secret_string.hpp"

namespace dm::rotate {

using secrets::SecretString;

/// What is known before: the account's own password works now (`current`), and that of an administrator where another account is changed.
struct Access {
  engine::Engine& engine;
  std::string container;      ///< id of the server's
  std::string address;        ///< of the container, so that rules for loopback do not hide a wrong password; "" = loopback
  std::string admin;          ///< account that may change others; "" = the account itself
  const SecretString* admin_password = nullptr;
};

/// Whether the server takes this password over the network. Errors: those of the engine, `unavailable` where the server does not answer,
/// `unsupported` where it takes any password (then nothing can be verified).
Result<bool> password_works(const Access& access, const Target& target, const SecretString& password, const Deadline& deadline);

/// Changes it. The new password travels by stdin, as a hash where the server takes one, so that no argv, log or history of the server holds it.
Result<void> change_password(const Access& access, const Target& target, const SecretString& current, const SecretString& wanted, const Deadline& deadline);

}  // namespace dm::rotate

/// Options of programs that carry a secret on a command line.
#pragma once

#include <string_view>

namespace dm::sensitive {

/// An option of this name (without its dashes) is followed by a secret: requirepass, password, admin-token; not no-password.
bool secret_option(std::string_view name);
/// The secret in a one-letter option of `program`: `redis-cli -a x`, `mysqladmin -px`; "" for none.
std::string_view short_secret(std::string_view program, std::string_view word, std::string_view next);

}  // namespace dm::sensitive

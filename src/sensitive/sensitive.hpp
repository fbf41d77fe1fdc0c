/// What is a secret: by a variable's name, by a value's shape. Knows nothing of where it came from.
#pragma once

#include <string>
#include <string_view>

namespace dm::sensitive {

/// A variable of this name holds a secret: ..._PASSWORD, ..._TOKEN, API_KEY; not ..._FILE, ..._URL, PUBLIC_KEY.
bool secret_name(std::string_view variable);
/// The value is a hash, not the secret itself: $2y$, $argon2, {SSHA}, pbkdf2.
bool looks_hashed(std::string_view value);
/// The value is no secret itself but stands for a sealed one: SOPS text, or the audit's placeholder for it.
bool looks_sealed(std::string_view value);
/// Such a placeholder stands somewhere in the value: a URL with a sealed password.
bool made_of_sealed(std::string_view value);
/// For messages: the length, never the text.
std::string mask(std::string_view value);

/// A line of a file as it may be shown: literal values after secret names, and passwords in URLs, become '*' (same width).
std::string mask_line(std::string_view line);

}  // namespace dm::sensitive

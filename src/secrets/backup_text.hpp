/// A key on paper: lines short enough to type, each with a check, so that a mistake is found in its line.
#pragma once

#include "secrets/age.hpp"

namespace dm::secrets {

/// Text to print. Holds the key.
SecretString key_on_paper(const X25519Identity& identity, std::string_view when);
/// Reads it back as a person typed it: case, spaces and other lines do not matter; a plain identity file is read too.
/// Errors: `invalid_input` with the number of the line that is wrong or missing, never with its text.
Result<X25519Identity> key_from_paper(std::string_view text);

}  // namespace dm::secrets

/// Secrets, made by OpenSSL's generator.
#pragma once

#include "scaffold/schema.hpp"
#include "secrets/secret_string.hpp"

namespace dm::scaffold {

/// A new value by the secret's generator; `given` is empty. Errors: `invalid_input` for one that is derived, `failed` where the library fails.
Result<secrets::SecretString> generate(const Secret& secret);

/// The value that follows from `source`: a hash of it, or the public half. A hash has a new salt each time.
/// Errors: `invalid_input` where `secret` is not derived or `source` does not fit, `failed`.
Result<secrets::SecretString> derive(const Secret& secret, const secrets::SecretString& source);

}  // namespace dm::scaffold

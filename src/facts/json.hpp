/// Facts as JSON, version 1; reading gives back what was written.
#pragma once

#include "base/result.hpp"
#include "facts/facts.hpp"

namespace dm::facts {

std::string to_json(const Facts& facts);
/// Errors: `invalid_input` (no JSON, not facts), `unsupported` (a later version). Missing fields keep their defaults.
Result<Facts> from_json(std::string_view text);

}  // namespace dm::facts

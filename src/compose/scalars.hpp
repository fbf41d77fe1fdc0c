/// What a plain YAML scalar is: as yaml.v3 resolves it (YAML 1.1 numbers and dates, 1.2 booleans). Internal to the module.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "compose/value.hpp"

namespace dm::compose {

/// Sets kind and number of `value` from the text; false where it stays a string.
bool resolve_scalar(std::string_view text, Value& value);

/// The time that an unquoted date or time stands for, in RFC 3339; nothing where the text is none, such as 2001-13-01.
std::optional<std::string> time_of(std::string_view text);

}  // namespace dm::compose

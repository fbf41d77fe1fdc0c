/// The tables, as steps from an empty file to the newest schema.
#pragma once

#include <span>
#include <string_view>

namespace dm::state {

/// Append only: a released step is never edited, since a file remembers how many ran.
std::span<const std::string_view> migrations();

}  // namespace dm::state

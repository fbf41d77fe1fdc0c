/// Text that may not be UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dm {

/// Bytes of the character that `text` begins with, in UTF-8; 0 = it begins with none.
std::size_t utf8_length(std::string_view text);

/// `text` with the bytes that are no UTF-8 written as "\xE9": what goes into JSON comes out of it as it went in.
std::string printable(std::string_view text);

}  // namespace dm

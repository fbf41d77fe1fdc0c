/// Words for messages and comparisons.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dm {

/// "1 service", "3 services".
inline std::string counted(std::size_t number, std::string_view noun) {
  auto out = std::to_string(number);
  out.append(" ").append(noun);
  if (number != 1) out += 's';
  return out;
}

/// With ASCII letters in lower case; the rest as it is, whatever the locale.
inline std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

}  // namespace dm

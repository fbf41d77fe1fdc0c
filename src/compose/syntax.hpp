/// What a YAML parser's complaint means for somebody who wrote a compose file. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dm::compose {

/// What the parser knows when it stops; offsets are bytes of the text.
struct SyntaxError {
  std::string_view problem;       ///< as libyaml words it
  std::string_view context{};     ///< what it was doing; may be empty
  std::size_t at = 0;
  std::size_t context_at = 0;     ///< where that began
  std::size_t quote_begin = 0;    ///< the last quoted text that spans several lines; 0, 0 for none
  std::size_t quote_end = 0;
};

struct Explanation {
  std::size_t at = 0;             ///< the place to show
  std::string message;
  std::string hint;
};

Explanation explain(const SyntaxError& error, std::string_view text);

}  // namespace dm::compose

/// Regular expressions as SOPS rules have them: Go's RE2 syntax, searched, in time linear in the text. (std::regex differs in syntax
/// and can be made to run for ever; libre2 of Debian 13 brings twenty shared libraries into every start of the program.)
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::secrets {

class Pattern {
 public:
  /// Everything of RE2 but Unicode classes (\p) and captures' names. Errors: `invalid_input` (malformed), `unsupported`.
  static Result<Pattern> compile(std::string_view expression);
  /// True where the expression matches anywhere in `text`.
  bool search(std::string_view text) const;

  struct Range {
    char32_t first, last;
  };
  struct Step {
    enum class Kind : std::uint8_t { set, split, jump, text_begin, text_end, line_begin, line_end, word, not_word, match } kind = Kind::match;
    std::vector<Range> ranges{};  ///< of a set
    std::size_t to = 0, other = 0;
  };

 private:
  std::vector<Step> steps_;
  friend class PatternParser;
};

}  // namespace dm::secrets

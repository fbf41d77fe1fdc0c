/// Which tag of an image is newer than which. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dm::upgrade {

/// "v17.2-alpine": prefix "v", numbers {17, 2}, variant "-alpine".
struct Tag {
  std::string text{};
  std::string prefix{}, variant{};
  std::vector<std::uint64_t> numbers{};
};

/// Nothing for a tag without a number ("latest"), and for commits and dates glued together.
std::optional<Tag> parse_tag(std::string_view text);

/// Of the same line: same prefix, same variant, as many numbers; so 17.2-alpine is followed by 17.3-alpine, not by 17 or 17.3.
bool follows(const Tag& then, const Tag& now);
/// By number, not by letter: 9 < 10.
bool newer(const Tag& then, const Tag& now);

enum class Step : std::uint8_t { same, patch, minor, major, older };
std::string_view to_string(Step step);
/// What changes from one to the other: the first number, the second, a later one.
Step step_of(const Tag& then, const Tag& now);

struct Candidates {
  std::string within{};      ///< newest with the same first number; "" = none newer
  std::string newest{};      ///< newest of all; "" = none newer
};
Candidates candidates(const Tag& now, const std::vector<std::string>& tags);

}  // namespace dm::upgrade

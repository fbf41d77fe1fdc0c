/// Places in a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace dm::text {

/// Half-open range of byte offsets [begin, end) into a source text. Texts are below 4 GiB (sources refuses larger ones).
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::uint32_t size() const { return end - begin; }
  friend auto operator<=>(const Span&, const Span&) = default;
};

/// What a person reads in an editor: 1-based line, 1-based column counted in code points.
struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
  friend auto operator<=>(const Position&, const Position&) = default;
};

/// Finds lines of one text in O(log n); built once per text. Line ends are LF, CRLF or a lone CR. Not thread-safe.
class LineIndex {
 public:
  explicit LineIndex(std::string_view text);
  /// An offset past the end is the place just after the last byte. `text` is the text the index was built from.
  Position position(std::string_view text, std::uint32_t offset) const;
  /// The 1-based line alone: unlike the column it costs the same on a line of megabytes.
  std::size_t number(std::uint32_t offset) const;
  /// Bytes of a 1-based line without its line end; empty past the last line.
  Span line(std::size_t number) const;
  std::size_t lines() const { return begins_.size(); }

 private:
  std::vector<std::uint32_t> begins_;  // offset of each line's first byte
  std::vector<std::uint32_t> ends_;    // offset just after its last byte, line end excluded
  mutable std::vector<std::uint32_t> code_points_;  // before each block of the text; filled when a column far into a line is asked for
  std::size_t code_points_before(std::string_view text, std::uint32_t offset) const;
};

}  // namespace dm::text

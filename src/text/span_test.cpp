#include "text/span.hpp"

#include <gtest/gtest.h>

#include <string>

namespace dm::text {
namespace {

TEST(LineIndex, CountsColumnsInCodePointsAndKnowsAllLineEnds) {
  const std::string_view text = "a\u00e9b\r\nsecond\rthird\n";
  const LineIndex index(text);
  EXPECT_EQ(index.position(text, 3), (Position{1, 3}));  // after 'a' and two bytes of one letter
  EXPECT_EQ(index.position(text, 6), (Position{2, 1}));
  EXPECT_EQ(index.position(text, 13), (Position{3, 1}));
  EXPECT_EQ(index.position(text, 9999), (Position{4, 1}));
  EXPECT_EQ(index.lines(), 4U);
  const auto line = index.line(2);
  EXPECT_EQ(text.substr(line.begin, line.size()), "second");
  EXPECT_EQ(index.line(0), Span{});
  EXPECT_EQ(index.line(5), Span{});
}

TEST(LineIndex, CountsFarIntoALineAsNearItsStart) {
  std::string text = "head\n";
  for (int i = 0; i < 5000; ++i) text += "\u00e9b";  // three bytes, two code points
  const LineIndex index(text);
  for (const std::uint32_t pair : {0U, 1U, 1365U, 1366U, 2730U, 4999U}) {
    EXPECT_EQ(index.position(text, 5 + 3 * pair), (Position{2, 1 + 2 * std::size_t{pair}})) << pair;
    EXPECT_EQ(index.position(text, 5 + 3 * pair + 2), (Position{2, 2 + 2 * std::size_t{pair}})) << pair;
  }
  EXPECT_EQ(index.position(text, static_cast<std::uint32_t>(text.size())), (Position{2, 10001}));
}

}  // namespace
}  // namespace dm::text

#include "text/span.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace dm::text

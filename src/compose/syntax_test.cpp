#include "compose/syntax.hpp"

#include <gtest/gtest.h>

#include "compose/nearest.hpp"

namespace dm::compose {
namespace {

TEST(Syntax, TabIsNamedWhereItStands) {
  const std::string_view text = "a:\n  b: 1\n\t  c: 2\n";
  const auto said = explain({.problem = "found a tab character that violates indentation", .context = "while scanning a plain scalar", .at = 11}, text);
  EXPECT_EQ(said.message, "a tab in the indentation");
  EXPECT_EQ(said.at, 10U);
}

TEST(Syntax, TabElsewhereIsNotBlamed) {
  const auto said = explain({.problem = "found character that cannot start any token", .context = "while scanning for the next token", .at = 3}, "a: @b\t# x\n");
  EXPECT_EQ(said.message, "a value cannot begin with '@'");
}

TEST(Syntax, DeeperLineAfterAValueIsAnIndentation) {
  const std::string_view text = "s:\n  image: nginx\n   ports: x\n";
  const auto said = explain({.problem = "mapping values are not allowed in this context", .at = 26}, text);
  EXPECT_EQ(said.message, "this line is indented deeper than 'image:' above it, which has a value already");
  EXPECT_EQ(said.hint, "indent it by 2 spaces, as the line above");
}

TEST(Syntax, SecondColonInALineWantsQuotes) {
  const auto said = explain({.problem = "mapping values are not allowed in this context", .at = 8}, "a: b --c: d\n");
  EXPECT_EQ(said.message, "a second ': ' in one line");
}

TEST(Nearest, OffersOnlyWhatIsNear) {
  Nearest near("databse");
  near.offer("web");
  near.offer("database");
  EXPECT_EQ(near.hint("none"), "did you mean 'database'?");
  Nearest far("x");
  far.offer("y");
  EXPECT_EQ(far.hint("none"), "none");
}

}  // namespace
}  // namespace dm::compose

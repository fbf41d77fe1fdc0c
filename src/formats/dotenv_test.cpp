#include "formats/dotenv.hpp"

#include <gtest/gtest.h>

namespace dm::formats {
namespace {

Dotenv read(std::string_view text) {
  return parse_dotenv(text, [](std::string_view raw, const std::vector<DotenvEntry>&, std::string& out) {
    out = raw;
    return true;
  });
}

std::string value(std::string_view text, std::string_view key) {
  std::string out = "(none)";
  for (const auto& entry : read(text).entries)
    if (entry.key == key) out = entry.value;
  return out;
}

TEST(Dotenv, CommentNeedsASpaceBeforeIt) {
  EXPECT_EQ(value("A=a #b\n", "A"), "a");
  EXPECT_EQ(value("A=a#b\n", "A"), "a#b");
  EXPECT_EQ(value("A=#b\n", "A"), "#b");
  EXPECT_EQ(value("A=\"q\" # c\nB=1\n", "B"), "1");
}

TEST(Dotenv, QuotesKeepLineBreaksAndOnlyDoubleOnesHaveEscapes) {
  EXPECT_EQ(value("A='x\ny\\n'\n", "A"), "x\ny\\n");
  EXPECT_EQ(value("A=\"x\\ty\\\\\"\n", "A"), "x\ty\\");
  EXPECT_EQ(value("A='it\\'s'\n", "A"), "it's");
  EXPECT_EQ(value("A=\"\\0101\\q\"\n", "A"), "A\\q");
}

TEST(Dotenv, WhatFollowsAClosingQuoteBeginsTheNextVariable) {
  EXPECT_EQ(value("A=\"x\" B=2\n", "B"), "2");
  EXPECT_EQ(read("A='it''s'\n").errors.size(), 1U);
}

TEST(Dotenv, NamesHaveLettersOfAllScriptsDigitsDotsAndBrackets) {
  EXPECT_EQ(value("a.b-c[0]=1\n", "a.b-c[0]"), "1");
  EXPECT_EQ(value("1A: x\n", "1A"), "x");
  EXPECT_EQ(read("A B=1\n").errors.size(), 1U);
  EXPECT_EQ(read("A&=1\nB=2\n").errors.size(), 1U);
  EXPECT_EQ(value("A&=1\nB=2\n", "B"), "2");
}

TEST(Dotenv, NameAloneInheritsButNotAtTheEndOfTheFile) {
  ASSERT_EQ(read("A\n").entries.size(), 1U);
  EXPECT_TRUE(read("A\n").entries[0].inherits);
  EXPECT_EQ(value("A", ""), "A");
}

TEST(Dotenv, RawTakesQuotesAsTheyAre) {
  const auto raw = parse_dotenv_raw("A=\"x\" #y\n");
  ASSERT_EQ(raw.entries.size(), 1U);
  EXPECT_EQ(raw.entries[0].value, "\"x\" #y");
}

}  // namespace
}  // namespace dm::formats

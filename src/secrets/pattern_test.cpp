#include "secrets/pattern.hpp"

#include <gtest/gtest.h>

namespace dm::secrets {
namespace {

struct Case {
  std::string_view expression, text;
  bool found;
};

TEST(Pattern, SearchesAsGoDoes) {
  // Each answer was taken from Go's regexp package.
  constexpr Case kCases[] = {
      {"^(data|stringData)$", "data", true}, {"^(data|stringData)$", "metadata", false}, {"pass", "DB_PASSWORD", false}, {"(?i)pass", "DB_PASSWORD", true},
      {"", "anything", true}, {"a{2,3}$", "baaa", true}, {"^a{2,3}$", "aaaa", false}, {"^x*$", "", true}, {R"(\.env$)", "prod.env", true},
      {R"(\.env$)", "prodxenv", false}, {"[^a-z]", "abc", false}, {"[^a-z]", "abC", true}, {R"(\bkey\b)", "api key 1", true}, {R"(\bkey\b)", "api_key", false},
      {"^.$", "ä", true}, {"[[:digit:]]+x", "a12x", true}, {"a|b|", "z", true}, {"^(?:a|b)+c", "ababc", true}, {"(?i:A)b", "ab", true}, {"(?i:A)b", "aB", false},
      {"a{,2}", "a{,2}", true}, {R"(^\d{4}-\d\d$)", "2026-11", true}, {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false}, {"[]a]", "]", true}, {"^$", "\n", false},
      {"(?m)^b$", "a\nb\nc", true}, {"x.y", "x\ny", false}, {"(?s)x.y", "x\ny", true}, {R"(\x41\x{42})", "AB", true}};
  for (const auto& one : kCases) {
    const auto pattern = Pattern::compile(one.expression);
    ASSERT_TRUE(pattern) << one.expression << ": " << pattern.error().message;
    EXPECT_EQ(pattern->search(one.text), one.found) << one.expression << " in " << one.text;
  }
}

TEST(Pattern, WhatIsMalformedIsRefused) {
  for (const auto* bad : {"(", ")", "[a", "*a", "a{3,2}", "a{1001}", "\\", "[b-a]", "(?z)", R"(\j)", "(?P<x"}) EXPECT_FALSE(Pattern::compile(bad)) << bad;
}

TEST(Pattern, ManyRepetitionsStayBounded) { EXPECT_FALSE(Pattern::compile("(((((a{100}){100}){100}){100}){100})")); }

}  // namespace
}  // namespace dm::secrets

#include "templates/drift.hpp"

#include <gtest/gtest.h>

namespace dm::templates {
namespace {

std::string kinds(const std::vector<Drift>& drift) {
  std::string out;
  for (const auto& one : drift) out += one.describe() + "\n";
  return out;
}

TEST(Drift, ATemplateThatChangedIsTold) { EXPECT_EQ(kinds(compare({{"a", "2"}}, {{"a", "1"}}, {{"a", "1"}})), "a: its template or a variable has changed since it was rendered\n"); }

TEST(Drift, AFileThatSomebodyEditedIsTold) { EXPECT_EQ(kinds(compare({{"a", "1"}}, {{"a", "1"}}, {{"a", "9"}})), "a: changed by another hand since it was rendered\n"); }

TEST(Drift, MissingNewAndLeftOverAreTold) {
  EXPECT_EQ(kinds(compare({{"a", "1"}, {"b", "1"}}, {{"a", "1"}, {"c", "1"}}, {{"c", "1"}})), "a: was rendered and is gone\nb: not rendered yet\nc: is no longer made by any template\n");
}

TEST(Drift, WhatIsAsRenderedIsSilent) { EXPECT_TRUE(compare({{"a", "1"}}, {}, {{"a", "1"}}).empty()); }

TEST(Drift, TheListComesBackAsItWasWritten) {
  const Hashes hashes = {{"config/a b", keyed_hash("k", "x")}, {"secrets/y", keyed_hash("k", "y")}};
  EXPECT_EQ(read_list(write_list(hashes)).value(), hashes);
  EXPECT_FALSE(read_list("nonsense\n"));
}

TEST(Drift, HashesDependOnTheKey) {
  EXPECT_EQ(keyed_hash("key", "The quick brown fox jumps over the lazy dog"), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
  EXPECT_NE(keyed_hash("a", "x"), keyed_hash("b", "x"));
}

}  // namespace
}  // namespace dm::templates

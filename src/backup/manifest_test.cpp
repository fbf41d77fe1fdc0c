#include "backup/manifest.hpp"

#include <gtest/gtest.h>

namespace dm::backup {
namespace {

Saved saved(std::string item, bool inside) {
  Saved out;
  out.subject = "db";
  out.item = std::move(item);
  out.path = "/shop/db/x.sql";
  out.snapshot = inside ? "" : "4711";
  out.outcome = Outcome::verified;
  out.inside = inside;
  if (inside) out.content = std::string("create role \xff\0\n", 15);
  return out;
}

Manifest manifest(bool inside) {
  Manifest out;
  out.run = "r";
  out.project = "shop";
  out.saved = {saved("(roles)", inside), saved("shop", false)};
  return out;
}

TEST(Manifest, SmallStreamsComeBackByteByByte) {
  const auto written = manifest(true).whole();
  const auto back = Manifest::parse(written, "0815");
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_EQ(back->saved[0].content, manifest(true).saved[0].content);
  EXPECT_EQ(back->saved[0].snapshot, "0815");
  EXPECT_EQ(back->saved[1].snapshot, "4711");
  EXPECT_FALSE(back->saved[1].inside);
}

TEST(Manifest, WhatPeopleAndTheStateStoreSeeHasNoContents) {
  auto run = manifest(true);
  run.saved[0].snapshot = "0815";
  const auto shown = run.json();
  EXPECT_EQ(shown.find("content\""), std::string::npos);
  const auto back = Manifest::parse(shown);
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_TRUE(back->saved[0].inside);
  EXPECT_FALSE(back->saved[0].content);
  EXPECT_EQ(back->saved[0].snapshot, "0815");  // whoever reads it back finds it there
}

TEST(Manifest, OneThatLacksWhatItShouldHoldIsDamaged) {
  auto run = manifest(true);
  run.saved[0].content.reset();
  EXPECT_FALSE(Manifest::parse(run.whole(), "0815"));
}

TEST(Manifest, ThoseOfOlderProgramsAreReadAndTheyReadOursWhereNothingIsInside) {
  const auto text = manifest(false).whole();
  EXPECT_NE(text.find("\"version\": 1"), std::string::npos);
  EXPECT_TRUE(Manifest::parse(text, "0815"));
  EXPECT_NE(manifest(true).whole().find("\"version\": 2"), std::string::npos);  // they say that a newer program wrote it
}

}  // namespace
}  // namespace dm::backup

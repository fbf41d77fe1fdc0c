#include "formats/dockerfile.hpp"

#include <gtest/gtest.h>

namespace dm::formats {
namespace {

std::string base(std::string_view text, std::string_view target = "", std::map<std::string, std::string, std::less<>> arguments = {}) {
  return base_image(parse_dockerfile(text), target, arguments);
}

TEST(Dockerfile, TheLastStageDecides) {
  EXPECT_EQ(base("FROM golang:1 AS build\nRUN go build\nFROM --platform=linux/amd64 caddy:2\nCOPY --from=build /a /b\n"), "caddy:2");
}

TEST(Dockerfile, StagesOnStagesAreFollowedToTheImage) {
  EXPECT_EQ(base("FROM postgres:17 AS base\nFROM base as more\nFROM more\n"), "postgres:17");
  EXPECT_EQ(base("FROM postgres:17 AS base\nFROM nginx AS web\nFROM base\n", "WEB"), "nginx");
  EXPECT_EQ(base("FROM nginx\n", "nowhere"), "");
  EXPECT_EQ(base("FROM postgres AS postgres\n"), "postgres");  // its own name is the image here
}

TEST(Dockerfile, AnImageIsMadeByItsStageAndThoseBelow) {
  const auto list = parse_dockerfile("FROM a AS one\nUSER x\nFROM b AS two\nUSER y\nFROM one\nUSER z\n");
  const auto users = [&](std::string_view target) {
    std::string out;
    for (const auto& one : image_instructions(list, target)) out += one.text;
    return out;
  };
  EXPECT_EQ(users(""), "xz");
  EXPECT_EQ(users("two"), "y");
  EXPECT_EQ(users("none"), "");
  EXPECT_TRUE(image_instructions(parse_dockerfile("USER x\n"), "").empty());
}

TEST(Dockerfile, ArgumentsBeforeTheFirstStageCount) {
  EXPECT_EQ(base("ARG V=16\nARG I=\"postgres\"\nFROM ${I}:${V}\n"), "postgres:16");
  EXPECT_EQ(base("ARG V=16\nFROM postgres:$V\n", "", {{"V", "17"}}), "postgres:17");
  EXPECT_EQ(base("ARG V\nFROM postgres:$V\n"), "");
  EXPECT_EQ(base("FROM postgres:${V:-15}\n"), "postgres:15");
}

TEST(Dockerfile, LinesContinueOverCommentsAndHereDocumentsAreSkipped) {
  const auto list = parse_dockerfile("# syntax=docker/dockerfile:1\nRUN a \\\n  # why\n\n  && b\nRUN <<EOF\nFROM nothing\nEOF\nfrom scratch\n");
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].text, "a  && b");
  EXPECT_EQ(list[0].line, 2U);
  EXPECT_EQ(list[2].keyword, "FROM");
  EXPECT_EQ(list[2].line, 9U);
  EXPECT_EQ(base("FROM scratch\n"), "");
  EXPECT_EQ(base(""), "");
  EXPECT_EQ(base("FROM\nFROM \\"), "");
}

}  // namespace
}  // namespace dm::formats

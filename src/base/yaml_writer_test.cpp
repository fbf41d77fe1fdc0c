#include "base/yaml_writer.hpp"

#include <gtest/gtest.h>

namespace dm {
namespace {

std::string scalar(std::string_view text) {
  std::string out;
  yaml_scalar(out, text, 2);
  return out;
}

TEST(YamlWriter, QuotesOnlyWhatAReaderWouldTakeForSomethingElse) {
  for (const auto* text : {"web", "a/b:1.0", "it's", "-c", "--flag", "say \"x\"", "a#b", "x:y", "$$HOME", "127.0.0.1", "1.2.3"}) EXPECT_EQ(scalar(text), text);
  for (const auto* text : {"", "true", "yes", "N", "~", "010", "1e3", "0x1f", "1.5", "2024-01-01", "12:30:45", "null", "1_000", ".5"})
    EXPECT_EQ(scalar(text), "\"" + std::string(text) + "\"");
  for (const auto* text : {"a: b", "a #c", "- x", "*a", "@a", "%a", "{a}", " lead", "trail ", "end:"}) EXPECT_EQ(scalar(text), "'" + std::string(text) + "'");
  EXPECT_EQ(scalar("'a': b"), "'''a'': b'");
  EXPECT_EQ(scalar("tab\there"), "\"tab\\there\"");
}

TEST(YamlWriter, SeveralLinesAreALiteralBlock) {
  EXPECT_EQ(scalar("a\nb"), "|-\n  a\n  b");
  EXPECT_EQ(scalar("a\n\nb\n"), "|\n  a\n\n  b");
  EXPECT_EQ(scalar("a\n\n"), "|+\n  a\n");
  EXPECT_EQ(scalar(" a\nb"), "\" a\\nb\"");
}

TEST(YamlWriter, NestsMapsAndLists) {
  YamlWriter yaml;
  yaml.begin_object().key("a").begin_object().key("b").null().end().key("c").begin_array();
  yaml.value(std::int64_t{1}).begin_array().value(std::int64_t{2}).value(std::int64_t{3}).end();
  yaml.begin_object().key("d").value("e").key("f").begin_array().value("g").end().end().end();
  yaml.key("x").begin_object().end().key("y").begin_array().end().end();
  EXPECT_EQ(yaml.take(), "a:\n  b: null\nc:\n  - 1\n  - - 2\n    - 3\n  - d: e\n    f:\n      - g\nx: {}\n\"y\": []\n");
}

}  // namespace
}  // namespace dm

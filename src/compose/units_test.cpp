#include "compose/units.hpp"

#include <gtest/gtest.h>

namespace dm::compose {
namespace {

TEST(Bytes, TakeEveryFormThatComposeTakes) {
  EXPECT_EQ(parse_bytes("512"), 512U);
  EXPECT_EQ(parse_bytes("1k"), 1024U);
  EXPECT_EQ(parse_bytes("1.5g"), 1610612736U);
  EXPECT_EQ(parse_bytes("2 GiB"), 2147483648U);
  EXPECT_EQ(parse_bytes("1x"), std::nullopt);
  EXPECT_EQ(parse_bytes(""), std::nullopt);
}

TEST(Durations, AreReadAndPrintedAsGoDoes) {
  const auto again = [](std::string_view text) {
    const auto value = parse_duration(text);
    return value ? format_duration(*value) : "rejected";
  };
  EXPECT_EQ(again("90s"), "1m30s");
  EXPECT_EQ(again("1d"), "24h0m0s");
  EXPECT_EQ(again("100µs"), "100µs");
  EXPECT_EQ(again("1.5s"), "1.5s");
  EXPECT_EQ(again("0"), "0s");
  EXPECT_EQ(again("30"), "rejected");
  EXPECT_EQ(again("1M"), "rejected");
}

TEST(Commands, AreSplitAndCutAsComposeDoes) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(split_command("a 'b c' \"d \\\" e\" f\\ g"), (Words{"a", "b c", "d \" e", "f g"}));
  EXPECT_EQ(split_command("echo a && echo b"), (Words{"echo", "a"}));
  EXPECT_EQ(split_command("echo 'open"), std::nullopt);
}

}  // namespace
}  // namespace dm::compose

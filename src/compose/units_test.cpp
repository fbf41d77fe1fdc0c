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
  EXPECT_EQ(parse_bytes("NaN"), std::nullopt);  // found by fuzzing
  EXPECT_EQ(parse_bytes("inf"), std::nullopt);
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
  EXPECT_EQ(split_command("echo $(a b) c"), (Words{"echo", "$(a b)", "c"}));
  EXPECT_EQ(split_command("echo `a b` c"), (Words{"echo", "`a b`", "c"}));
  EXPECT_EQ(split_command("echo `a"), std::nullopt);
  EXPECT_EQ(split_command("echo (a)"), std::nullopt);
  EXPECT_EQ(split_command("echo a 2>&1"), (Words{"echo", "a"})) << "the 2 belongs to the redirection";
  EXPECT_EQ(split_command("echo ''"), (Words{"echo", ""}));
}

TEST(Binary, IsDecodedStrictly) {
  EXPECT_EQ(decode_base64("aGVsbG8="), "hello");
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("aGVsbG8"), std::nullopt);
  EXPECT_EQ(decode_base64("===="), std::nullopt);
  EXPECT_EQ(decode_base64("a!=="), std::nullopt);
}

TEST(Floats, BecomeTextAsGoPrintsThem) {
  EXPECT_EQ(format_plain(1000), "1000");
  EXPECT_EQ(format_plain(1.5), "1.5");
  EXPECT_EQ(format_plain(1234567), "1.234567e+06");
  EXPECT_EQ(format_plain(1e8), "1e+08");
  EXPECT_EQ(format_plain(0.00001), "1e-05");
  EXPECT_EQ(format_plain(-9223372036854775809.0), "-9.223372036854776e+18");
}

}  // namespace
}  // namespace dm::compose

#include "backup/pipe.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <stdexcept>

namespace dm::backup {
namespace {

Result<std::string> read_all(const Source& in) {
  std::string out;
  while (true) {
    DM_TRY(const std::string piece, in());
    if (piece.empty()) return out;
    out += piece;
  }
}

Result<void> fine() { return {}; }

TEST(Ahead, gives_what_was_streamed) {
  Ahead<Result<std::string>> reader(read_all);
  const auto got = reader.stream([](const Sink& out) -> Result<void> { DM_CHECK(out("one ")); return out("two"); }, fine);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, "one two");
}

TEST(Pipe, a_trickle_is_not_held_back_until_a_batch_is_full) {
  std::promise<void> seen;
  Ahead<Result<std::string>> reader([&](const Source& in) -> Result<std::string> {
    DM_TRY(std::string first, in());
    seen.set_value();
    DM_TRY(const std::string rest, read_all(in));
    return first + "|" + rest;
  });
  const auto got = reader.stream(
      [&](const Sink& out) -> Result<void> {
        DM_CHECK(out("a word"));
        if (seen.get_future().wait_for(std::chrono::seconds(60)) != std::future_status::ready) return fail(Errc::timeout, "nobody got it");
        return out("the rest");
      },
      fine);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(*got, "a word|the rest");
}

TEST(Pipe, pieces_of_every_size_come_in_order) {
  std::string sent;
  Ahead<Result<std::string>> reader(read_all);
  const auto got = reader.stream(
      [&](const Sink& out) -> Result<void> {
        for (std::size_t i = 0; i < 600; ++i) {
          const std::string piece(i * i % 70001, static_cast<char>('a' + i % 26));
          sent += piece;
          DM_CHECK(out(piece));
        }
        return {};
      },
      fine);
  ASSERT_TRUE(got);
  EXPECT_TRUE(*got == sent) << got->size() << " of " << sent.size();
}

TEST(Ahead, a_producer_that_fails_is_no_end) {
  bool ended = false;
  Ahead<Result<std::string>> reader([&](const Source& in) { auto all = read_all(in); ended = static_cast<bool>(all); return all; });
  const auto got = reader.stream([](const Sink& out) -> Result<void> { DM_CHECK(out("half")); return fail(Errc::corrupt, "cut off"); }, fine);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().message, "cut off");
  EXPECT_FALSE(ended);
}

TEST(Ahead, what_is_not_approved_is_no_end) {
  Ahead<Result<std::string>> reader(read_all);
  const auto got = reader.stream([](const Sink& out) { return out("all"); }, [] { return Result<void>(fail(Errc::corrupt, "no end mark")); });
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().message, "no end mark");
}

TEST(Ahead, a_reader_that_fails_has_the_word) {
  Ahead<Result<std::string>> reader([](const Source&) { return Result<std::string>(fail(Errc::denied, "wrong password")); });
  const auto got = reader.stream([](const Sink& out) -> Result<void> { while (true) DM_CHECK(out(std::string(100000, 'x'))); }, fine);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().message, "wrong password");
  EXPECT_TRUE(reader.over());
}

TEST(Ahead, one_that_gets_nothing_sees_no_end) {
  bool ended = true;
  {
    Ahead<Result<std::string>> reader([&](const Source& in) { auto all = read_all(in); ended = static_cast<bool>(all); return all; });
  }
  EXPECT_FALSE(ended);
}

TEST(Ahead, what_a_library_throws_is_an_error_of_the_stream) {
  const auto thrower = [](const Sink&) -> Result<void> { throw std::runtime_error("no such type"); };
  Ahead<Result<std::string>> reader(read_all);
  const auto ahead = reader.stream(thrower, fine);
  ASSERT_FALSE(ahead);
  EXPECT_EQ(ahead.error().message, "no such type");
  const auto between = stream_between(thrower, fine, read_all);
  ASSERT_FALSE(between);
  EXPECT_EQ(between.error().message, "no such type");
}

}  // namespace
}  // namespace dm::backup

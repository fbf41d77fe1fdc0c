#include "base/process.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/files.hpp"

namespace dm {
namespace {

TEST(Process, BytesPassThroughUnchangedInBothDirections) {
  std::string sent, got;
  for (int i = 0; i < 3'000'000; ++i) sent += static_cast<char>(i * 31 % 256);
  std::size_t at = 0;
  const Source in = [&]() -> Result<std::string> {
    auto piece = sent.substr(at, 100'000);
    at += piece.size();
    return piece;
  };
  const Sink out = [&](std::string_view bytes) -> Result<void> {
    got += bytes;
    return {};
  };
  const auto finished = run_process({{"cat"}}, {.in = in, .out = out});
  ASSERT_TRUE(finished) << finished.error().describe();
  EXPECT_EQ(finished->status, 0);
  EXPECT_TRUE(got == sent);
}

TEST(Process, AProgramThatDoesNothingIsGivenUpAndItsComplaintsAreNoProgress) {
  Command command{.argv = {"sh", "-c", "while sleep 0.1; do echo still trying >&2; done"}};
  command.stall = std::chrono::milliseconds(800);
  const auto given_up = run_process(command);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().code, Errc::timeout);
  EXPECT_NE(given_up.error().message.find("nothing moved"), std::string::npos) << given_up.error().describe();
}

TEST(Process, OneThatIsGivenUpWithAnotherEndsAtOnce) {
  std::stop_source other;
  Command command{.argv = {"sleep", "60"}};
  command.give_up = other.get_token();
  const auto begin = Clock::now();
  std::thread stops([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    other.request_stop();
  });
  const Deadline none;
  const auto ended = run_process(command, {}, none);
  stops.join();
  EXPECT_TRUE(stood_still(ended, none));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
}

TEST(Process, WhatMovesBytesOfItsOwnOrWaitsForUsIsNotGivenUp) {
  Command copies{.argv = {"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do head -c 200000 /dev/zero >/dev/null; sleep 0.1; done"}};
  copies.stall = std::chrono::milliseconds(900);
  const auto copied = run_process(copies);
  EXPECT_TRUE(copied) << copied.error().describe();
  Command waits{.argv = {"cat"}};
  waits.stall = std::chrono::milliseconds(300);
  int pieces = 0;
  const auto waited = run_process(waits, {.in = [&]() -> Result<std::string> {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    return std::string(++pieces < 3 ? "piece" : "");
  }});
  ASSERT_TRUE(waited) << waited.error().describe();
  EXPECT_EQ(waited->out, "piecepiece");
}

TEST(Process, AProgramThatIsMissingIsNamed) {
  const auto finished = run_process({{"no-such-program-here"}});
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Errc::not_found);
  EXPECT_NE(finished.error().message.find("no-such-program-here"), std::string::npos);
}

TEST(Process, TheExitStatusAndTheLastWordsArrive) {
  const auto finished = run_fine({{"sh", "-c", "echo trouble >&2; exit 7"}});
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Errc::failed);
  EXPECT_EQ(finished.error().message, "'sh' ended with status 7: trouble");
}

TEST(Process, ADeadlineEndsTheWholeGroup) {
  const auto begin = Clock::now();
  const auto finished = run_process({{"sh", "-c", "sleep 60 & sleep 60"}}, {}, Deadline::in(std::chrono::milliseconds(200)));
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Errc::timeout);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(30));
}

TEST(Process, AStopTokenInterrupts) {
  std::stop_source stop;
  std::jthread later([&] { stop.request_stop(); });
  const auto finished = run_process({{"sleep", "60"}}, {}, Deadline(Clock::time_point::max(), stop.get_token()));
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Errc::conflict);
}

TEST(Process, AChildThatDoesNotReadItsInputIsNoError) {
  const Source endless = [] { return Result<std::string>(std::string(65536, 'x')); };
  const auto finished = run_process({{"true"}}, {.in = endless});
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->status, 0);
}

TEST(Process, AGrandchildThatKeepsThePipeDoesNotHoldUs) {
  const auto begin = Clock::now();
  const auto finished = run_process({{"sh", "-c", "sleep 30 & echo done"}});
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->out, "done\n");
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
}

TEST(Process, DescriptorsAndEnvironmentReachTheChild) {
  auto file = memory_file("secret", "from memory");
  ASSERT_TRUE(file);
  const auto finished = run_fine({.argv = {"sh", "-c", "cat /dev/fd/5; printf %s \"$WORD\"; printf %s \"${HOME-none}\""},
                                  .env = {{"WORD", " and environment "}}, .unset = {"HOME"}, .descriptors = {{5, file->get()}}});
  ASSERT_TRUE(finished) << finished.error().describe();
  EXPECT_EQ(finished->out, "from memory and environment none");
}

TEST(Files, AtomicWriteKeepsModeAndFollowsLinks) {
  const std::string folder = testing::TempDir() + "/dm_files_" + std::to_string(::getpid());
  ASSERT_TRUE(make_folders(folder + "/a/b"));
  const auto file = folder + "/a/b/file";
  ASSERT_TRUE(write_atomic(file, "one", 0640));
  ASSERT_EQ(::symlink(file.c_str(), (folder + "/link").c_str()), 0);
  ASSERT_TRUE(write_atomic(folder + "/link", "two"));
  const auto seen = run_fine({{"stat", "-c", "%a %s %F", file}});
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->out, "640 3 regular file\n");
  EXPECT_EQ(write_atomic("/dev/null", "x").error().code, Errc::unsupported);
  EXPECT_EQ(write_atomic(folder + "/none/x", "x").error().code, Errc::not_found);
  ASSERT_TRUE(run_fine({{"rm", "-rf", folder}}));
}

TEST(Files, ALockNamesItsHolder) {
  const std::string path = testing::TempDir() + "/dm_lock_" + std::to_string(::getpid());
  {
    const auto first = lock_file(path, "backing up", Deadline::in(std::chrono::seconds(1)));
    ASSERT_TRUE(first);
    const auto second = lock_file(path, "drilling", Deadline::in(std::chrono::milliseconds(60)));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::conflict);
    EXPECT_NE(second.error().message.find("backing up"), std::string::npos);
  }
  EXPECT_TRUE(lock_file(path, "drilling", Deadline::in(std::chrono::milliseconds(60))));
  ::unlink(path.c_str());
}

TEST(Process, WhoseCountersMayNotBeReadIsNotTakenForStalled) {
  if (!find_program("python3")) GTEST_SKIP() << "no python3";
  // As another user than root, and not to be looked at: as a program with file capabilities is.
  constexpr const char* kHidden =
      "import ctypes, os, time\n"
      "if os.geteuid() == 0: os.setuid(65534)\n"
      "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"
      "time.sleep(3)\n";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(9);
    Command command{{"python3", "-c", kHidden}};
    command.stall = std::chrono::seconds(1);
    ::_exit(run_process(command) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

}  // namespace
}  // namespace dm

#include "secrets/metrics.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>

#include <chrono>
#include <filesystem>
#include <future>

#include "base/files.hpp"

namespace dm::secrets {
namespace {

TEST(Metrics, ALockThatSomebodyHoldsIsNotWaitedForWithoutEnd) {
  std::string folder = "/tmp/datamancy-metrics-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  Fd other(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  auto counted = std::async(std::launch::async, [&] { return count_run(folder, {}, 0, true); });
  const bool waits = counted.wait_for(std::chrono::seconds(20)) != std::future_status::ready;
  EXPECT_FALSE(waits);
  other.reset();  // one that waits for ever ends now
  if (!waits) {
    const auto result = counted.get();
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find(folder), std::string::npos);
  }
  EXPECT_TRUE(count_run(folder, {}, 0, true));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dm::secrets

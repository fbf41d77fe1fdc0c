#include "secrets/runtime_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace dm::secrets {
namespace {

TEST(RuntimeFiles, OnlyWhatNobodyWantsOrMountsIsRemoved) {
  auto pattern = testing::TempDir() + "dm-prune-XXXXXX";
  FileDelivery delivery;
  delivery.folder = ::mkdtemp(pattern.data());
  for (const auto* name : {"secret.wanted", "old.mounted", "old.gone"}) std::ofstream(delivery.folder + "/" + name) << "x";
  std::filesystem::create_directory(delivery.folder + "/rendered");
  FileSecret wanted;
  wanted.path = delivery.folder + "/secret.wanted";
  delivery.files.push_back(std::move(wanted));
  EXPECT_EQ(prune_files(delivery, {delivery.folder + "/old.mounted", "/elsewhere"}), 1U);
  EXPECT_TRUE(std::filesystem::exists(delivery.folder + "/secret.wanted"));
  EXPECT_TRUE(std::filesystem::exists(delivery.folder + "/old.mounted"));
  EXPECT_TRUE(std::filesystem::exists(delivery.folder + "/rendered"));
  EXPECT_FALSE(std::filesystem::exists(delivery.folder + "/old.gone"));
  std::filesystem::remove_all(delivery.folder);
}

TEST(RuntimeFiles, AnEngineElsewhereCannotMountThem) {
  FileDelivery delivery;
  EXPECT_TRUE(within_reach(delivery, "tcp://192.0.2.1:2376"));
  delivery.files.emplace_back();
  EXPECT_TRUE(within_reach(delivery, "unix:///var/run/docker.sock"));
  for (const auto* host : {"tcp://192.0.2.1:2376", "ssh://user@host"}) {
    const auto reach = within_reach(delivery, host);
    ASSERT_FALSE(reach);
    EXPECT_THAT(reach.error().message, testing::HasSubstr(host));
  }
}

TEST(RuntimeFiles, MarksAreReadByName) {
  const auto marks = read_marks("aa:ONE bb:TWO broken cc:");
  EXPECT_THAT(marks, testing::UnorderedElementsAre(testing::Pair("ONE", "aa"), testing::Pair("TWO", "bb"), testing::Pair("", "cc")));
}

}  // namespace
}  // namespace dm::secrets

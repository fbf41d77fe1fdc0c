/// What is remembered of git history. What is found there is tests/secrets/history_test.py, on real repositories.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "secrets/crypto.hpp"
#include "secrets/history_cache.hpp"

namespace dm::secrets {
namespace {

HistoryCache example() {
  HistoryCache out;
  out.repository = std::string(64, 'a');
  out.looked_for = std::string(64, 'b');
  out.tips = {std::string(40, '1'), std::string(64, '2')};
  out.versions = 12;
  out.entries = {{std::string(40, '3'), "a b/c.env", std::string(40, '4'), "2026-11-26"}, {std::string(40, '5'), "tag \xff", "", ""}};
  return out;
}

TEST(HistoryCache, GivesBackWhatWasWritten) {
  const auto read = parse_history_cache(write_history_cache(example()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->repository, example().repository);
  EXPECT_EQ(read->looked_for, example().looked_for);
  EXPECT_EQ(read->tips, example().tips);
  EXPECT_EQ(read->versions, 12U);
  EXPECT_EQ(read->entries, example().entries);
}

TEST(HistoryCache, OneByteMoreLessOrOtherIsNone) {
  const auto text = write_history_cache(example());
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto other = text;
    other[at] = static_cast<char>(other[at] ^ 1);
    EXPECT_FALSE(parse_history_cache(other)) << at;
    EXPECT_FALSE(parse_history_cache(text.substr(0, at))) << at;
  }
  EXPECT_FALSE(parse_history_cache(text + "\n"));
}

/// A row whose hash is right and whose words are not: another program wrote it.
TEST(HistoryCache, RowsThatAreNoneAreRefused) {
  auto good = example();
  for (const std::string bad : {"x", "-h", "--all", "^1", ""}) {
    auto cache = good;
    cache.tips = {bad};
    EXPECT_FALSE(parse_history_cache(write_history_cache(cache))) << bad;
    cache = good;
    cache.entries[0].object = bad;
    EXPECT_FALSE(parse_history_cache(write_history_cache(cache))) << bad;
  }
}

/// A scan that finds something else must not trust what an older one remembers.
TEST(HistoryCache, ItsVersionIsThatOfTheRules) {
  std::string text;
  for (const std::string_view name : {"scan.cpp", "scan_rules.cpp"}) {
    std::ifstream file(std::string(DM_SOURCE_DIR "/src/secrets/").append(name));
    ASSERT_TRUE(file) << name;
    for (std::string line; std::getline(file, line);) {
      if (const auto first = line.find_first_not_of(' '); first == std::string::npos || line.compare(first, 2, "//") == 0) continue;
      text += line.substr(line.find_first_not_of(' ')) + "\n";
    }
  }
  EXPECT_EQ(std::to_string(kScanVersion) + " " + hex(sha256(text)).substr(0, 16), "1 1fee7e1d306dee0f")
      << "the rules of the scan have changed: raise kScanVersion in history_cache.hpp where they find something else, and write here what stands left";
}

}  // namespace
}  // namespace dm::secrets

#include <gtest/gtest.h>

#include "state/backup_record.hpp"
#include "state/journal.hpp"
#include "state/proof.hpp"
#include "state/store.hpp"

namespace dm::state {
namespace {

TEST(Proofs, TheNewestOfEachSubjectCounts) {
  Db db(":memory:");
  add(db, {.control = "R1", .subject = "db", .result = Outcome::verified, .made = 10, .expires = 100});
  add(db, {.control = "R1", .subject = "db", .result = Outcome::failed, .evidence = "rows differ", .made = 20, .expires = 100});
  add(db, {.control = "R1", .subject = "app", .result = Outcome::verified, .made = 5, .expires = 100});
  const auto all = newest_proofs(db);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].subject, "db");
  EXPECT_EQ(all[1].result, Outcome::failed);
  EXPECT_EQ(newest_proof(db, "R1", "db")->evidence, "rows differ");
  EXPECT_FALSE(newest_proof(db, "R2", "db"));
}

TEST(Proofs, AProofIsVoidWhenItExpiredOrItsSubjectChanged) {
  const Proof proof{.control = "R1", .made = 10, .expires = 100, .binding = {.engine = "e", .image = "i"}};
  EXPECT_EQ(why_void(proof, {.engine = "e", .image = "i"}, 50), "");
  EXPECT_EQ(why_void(proof, {}, 50), "");
  EXPECT_EQ(why_void(proof, {.engine = "e", .image = "i"}, 100), "expired");
  EXPECT_EQ(why_void(proof, {.engine = "other"}, 50), "made on another engine");
  EXPECT_EQ(why_void(proof, {.image = "new"}, 50), "the image has changed since");
}

TEST(Journal, AnActionThatNeverFinishedIsSeen) {
  Db db(":memory:");
  const auto first = begin(db, {.at = 1, .who = "root", .verb = "up", .subject = "shop", .action = "start db"});
  begin(db, {.at = 2, .who = "root", .verb = "up", .subject = "shop", .action = "start app"});
  finish(db, first, "started");
  const auto entries = newest_entries(db, 10);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].outcome, "");
  EXPECT_EQ(entries[1].outcome, "started");
}

BackupRecord run(const char* name, std::int64_t started, bool partial, const char* repository = "local", std::uint64_t stored = 0) {
  return {.run = name, .repository = repository, .started = started, .outcome = Outcome::verified, .stored = stored, .manifest = partial ? R"({"partial": true})" : R"({"partial": false})"};
}

std::vector<std::string> names(const std::vector<BackupRecord>& records) {
  std::vector<std::string> out;
  for (const auto& record : records) out.push_back(record.run);
  return out;
}

TEST(Backups, RunsOfAPartDoNotHideTheNewestWholeOne) {
  Db db(":memory:");
  EXPECT_TRUE(backups_since_whole(db, "").empty());
  add(db, run("first part", 5, true));
  EXPECT_EQ(names(backups_since_whole(db, "")), (std::vector<std::string>{"first part"}));
  for (const auto& one : {run("old", 10, false), run("whole", 20, false), run("part", 30, true), run("other", 40, true, "far")}) add(db, one);
  EXPECT_EQ(names(backups_since_whole(db, "")), (std::vector<std::string>{"other", "part", "whole"}));
  EXPECT_EQ(names(backups_since_whole(db, "local")), (std::vector<std::string>{"part", "whole"}));
}

TEST(Backups, GrowthIsToldOnlyOverADayAndMore) {
  constexpr std::int64_t kDay = 86400;
  EXPECT_EQ(growth_per_day({run("c", 4 * kDay, false, "local", 500), run("unmeasured", 3 * kDay, false), run("a", 2 * kDay, false, "local", 300)}), 100.0);
  EXPECT_EQ(growth_per_day({run("unmeasured", 9 * kDay, false), run("b", 4 * kDay, false, "local", 500), run("a", 2 * kDay, false, "local", 300)}), 100.0);
  EXPECT_FALSE(growth_per_day({run("b", 60, false, "local", 500), run("a", 0, false, "local", 300)}));
  EXPECT_FALSE(growth_per_day({run("b", 4 * kDay, false, "local", 300), run("a", 0, false, "local", 300)}));
  EXPECT_FALSE(growth_per_day({run("a", 0, false, "local", 300)}));
  EXPECT_FALSE(growth_per_day({}));
}

TEST(Store, FollowsTheEnvironment) {
  EXPECT_EQ(root_folder({}, true), "/var/lib/datamancy");
  EXPECT_EQ(root_folder({{"HOME", "/home/a"}}, false), "/home/a/.local/state/datamancy");
  EXPECT_EQ(root_folder({{"XDG_STATE_HOME", "/x"}}, false), "/x/datamancy");
  EXPECT_EQ(root_folder({{"DATAMANCY_STATE", "/s"}}, true), "/s");
}

}  // namespace
}  // namespace dm::state

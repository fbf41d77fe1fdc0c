#include <gtest/gtest.h>

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

TEST(Store, FollowsTheEnvironment) {
  EXPECT_EQ(root_folder({}, true), "/var/lib/datamancy");
  EXPECT_EQ(root_folder({{"HOME", "/home/a"}}, false), "/home/a/.local/state/datamancy");
  EXPECT_EQ(root_folder({{"XDG_STATE_HOME", "/x"}}, false), "/x/datamancy");
  EXPECT_EQ(root_folder({{"DATAMANCY_STATE", "/s"}}, true), "/s");
}

}  // namespace
}  // namespace dm::state

#include "state/revision.hpp"

#include <gmock/gmock.h>

namespace dm::state {
namespace {

Revision sample(std::int64_t at) {
  return {.at = at, .who = "root", .verb = "up", .note = "create db (new)", .compose = "2.40.3", .folder = "/srv/shop", .model = "{}", .holes = "[]",
          .services = {{"db", "postgres:17", "", ""}}, .files = {{"/srv/shop/a.conf", "d1", true, "x = 1\n"}, {"/srv/shop/key", "d2", false, ""}}};
}

TEST(Revisions, OneIsUnderWayUntilItEndsAndThenHasItsImageIds) {
  Db db(":memory:");
  const auto id = begin_revision(db, sample(100));
  EXPECT_EQ(revisions(db, 10).front().result, "under way");
  EXPECT_FALSE(last_good(db, 0));
  end_revision(db, id, "good", "create db (new)", {{"db", "postgres:17", "sha256:aa", "hash"}}, 110);
  const auto found = revision(db, id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->services.at(0).image_id, "sha256:aa");
  EXPECT_EQ(found->files.at(0).content, "x = 1\n");
  EXPECT_FALSE(found->files.at(1).kept);
  EXPECT_EQ(found->ended, 110);
}

TEST(Revisions, TheLastGoodOneIsBeforeTheFailedOne) {
  Db db(":memory:");
  const auto first = begin_revision(db, sample(1));
  end_revision(db, first, "good", "", {}, 2);
  const auto second = begin_revision(db, sample(3));
  end_revision(db, second, "failed", "db: unhealthy", {}, 4);
  EXPECT_EQ(last_good(db, 0)->id, first);
  EXPECT_EQ(last_good(db, second)->id, first);
  EXPECT_FALSE(last_good(db, first));
}

TEST(Revisions, OldOnesGoButNeverTheLastGoodOne) {
  Db db(":memory:");
  const auto good = begin_revision(db, sample(1));
  end_revision(db, good, "good", "", {}, 2);
  for (int i = 0; i < 60; ++i) end_revision(db, begin_revision(db, sample(3)), "failed", "", {}, 4);
  EXPECT_LE(revisions(db, 1000).size(), 51U);
  EXPECT_EQ(last_good(db, 0)->id, good);
}

TEST(Revisions, ContainersKeepTheirDigestsUntilTheyAreGone) {
  Db db(":memory:");
  set_container_files(db, "c1", {{"/a", "1"}, {"/b", "2"}});
  set_container_files(db, "c2", {{"/a", "1"}});
  set_container_files(db, "c1", {{"/a", "3"}});
  forget_containers(db, {"c1"});
  EXPECT_THAT(container_files(db), testing::ElementsAre(testing::Pair("c1", testing::ElementsAre(testing::Pair("/a", "3")))));
}

}  // namespace
}  // namespace dm::state

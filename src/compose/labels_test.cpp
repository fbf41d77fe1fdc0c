#include "compose/labels.hpp"

#include <gmock/gmock.h>

namespace dm::compose {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Labels, PathsMayHoldCommas) {
  EXPECT_THAT(paths_in("/srv/a/compose.yaml,/srv/a/more.yaml"), ElementsAre("/srv/a/compose.yaml", "/srv/a/more.yaml"));
  EXPECT_THAT(paths_in("/srv/red, green/compose.yaml,/srv/x,y.yaml"), ElementsAre("/srv/red, green/compose.yaml", "/srv/x,y.yaml"));
  EXPECT_THAT(paths_in("/srv/ends,"), ElementsAre("/srv/ends,"));
  EXPECT_THAT(paths_in(""), IsEmpty());
}

TEST(Labels, WhatWasHandedOverInMemoryIsNoFile) {
  EXPECT_THAT(paths_in("/dev/fd/9,/srv/a/.env,/proc/7/fd/3,/dev/null,-"), ElementsAre("/srv/a/.env"));
  EXPECT_THAT(paths_in("-"), IsEmpty());
  EXPECT_THAT(paths_in("/srv/a/x.yaml,-"), ElementsAre("/srv/a/x.yaml"));
}

TEST(Labels, AReplicaIsNotWhatComposeRanByHand) {
  EXPECT_TRUE(one_off({{label::kOneOff, "True"}}));
  EXPECT_FALSE(one_off({{label::kOneOff, "False"}}));
  EXPECT_FALSE(one_off({}));
  EXPECT_THAT(replicas_of("shop", "web"), ElementsAre("com.docker.compose.project=shop", "com.docker.compose.service=web", "com.docker.compose.oneoff=False"));
}

}  // namespace
}  // namespace dm::compose

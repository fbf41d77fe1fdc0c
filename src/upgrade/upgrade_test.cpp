#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "compose/load.hpp"
#include "engine/fake.hpp"
#include "upgrade/edit.hpp"
#include "upgrade/judge.hpp"
#include "upgrade/registry.hpp"
#include "upgrade/tags.hpp"
#include "upgrade/upgrade.hpp"

namespace dm::upgrade {
namespace {

TEST(Tags, AreComparedByNumberWithinTheirLine) {
  const auto now = *parse_tag("17.2-alpine");
  const auto found = candidates(now, {"17.9-alpine", "17.10-alpine", "18.1-alpine", "18.2", "17.11", "18-alpine", "18.0-rc1-alpine", "latest", "17.10.1-alpine", "9.9-alpine"});
  EXPECT_EQ(found.within, "17.10-alpine");
  EXPECT_EQ(found.newest, "18.1-alpine");
}

TEST(Tags, UnfinishedVersionsAndCommitsDoNotFollow) {
  const auto found = candidates(*parse_tag("v1.2.3"), {"v1.2.4-rc.1", "v1.3.0-beta", "v1.2.10", "1.9.0", "v1", "sha256abc", "3a91f2c", "v2.0.0.dev1"});
  EXPECT_EQ(found.within, "v1.2.10");
  EXPECT_EQ(found.newest, "v1.2.10");
  EXPECT_FALSE(parse_tag("latest"));
  EXPECT_FALSE(parse_tag("bookworm12"));
}

TEST(Tags, SayWhichNumberChanges) {
  EXPECT_EQ(step_of(*parse_tag("15"), *parse_tag("17")), Step::major);
  EXPECT_EQ(step_of(*parse_tag("11.4"), *parse_tag("11.8")), Step::minor);
  EXPECT_EQ(step_of(*parse_tag("1.2.3"), *parse_tag("1.2.4")), Step::patch);
  EXPECT_EQ(step_of(*parse_tag("1.10"), *parse_tag("1.9")), Step::older);
}

TEST(Judge, KnowsWhatBites) {
  const product::Catalogue products;
  const auto postgres = judge(products.by_id("postgres"), "15", "17", true);
  EXPECT_EQ(postgres.data, Data::dump);
  EXPECT_FALSE(postgres.traps.empty());
  EXPECT_EQ(judge(products.by_id("postgres"), "17.1", "17.2", true).data, Data::stays);
  EXPECT_EQ(judge(products.by_id("mariadb"), "11.4", "11.8", true).data, Data::migrates);
  EXPECT_FALSE(judge(products.by_id("nextcloud"), "28", "30", true).refusal.empty());
  EXPECT_TRUE(judge(products.by_id("nextcloud"), "28", "29", true).refusal.empty());
}

TEST(Judge, TakesTheUnknownForTheWorse) {
  EXPECT_EQ(judge(nullptr, "1.0", "2.0", true).data, Data::migrates);
  EXPECT_EQ(judge(nullptr, "1.0", "2.0", false).data, Data::stays);
  EXPECT_EQ(judge(nullptr, "2.0", "1.0", true).data, Data::migrates);
  EXPECT_FALSE(judge(nullptr, "latest", "stable", true).traps.empty());
}

TEST(Registry, ReadsReferencesAsTheEngineDoes) {
  EXPECT_EQ(parse_image("postgres:17")->name, "library/postgres");
  EXPECT_EQ(parse_image("postgres")->registry, "registry-1.docker.io");
  EXPECT_EQ(parse_image("postgres")->tag, "latest");
  const auto own = *parse_image("127.0.0.1:5000/club/app:1.0");
  EXPECT_EQ(own.registry, "127.0.0.1:5000");
  EXPECT_FALSE(own.secure);
  EXPECT_TRUE(parse_image("ghcr.io/x/y:1")->secure);
  EXPECT_EQ(to_string(*parse_image("postgres")), "docker.io/library/postgres:latest");
  EXPECT_EQ(to_string(*parse_image("me/app@sha256:ab")), "docker.io/me/app@sha256:ab");
  EXPECT_EQ(to_string(own), "127.0.0.1:5000/club/app:1.0");
}

TEST(Upgrade, ATagThatMeansAnotherImageByNowMeansTheOldOneAgainOnTheWayBack) {
  auto store = testing::TempDir() + "dm-upgrade-XXXXXX";
  ASSERT_NE(::mkdtemp(store.data()), nullptr);
  engine::FakeEngine engine;
  const auto id = engine.add_container("shop-app-1", "app:1", {{"com.docker.compose.project", "shop"}, {"com.docker.compose.service", "app"}, {"com.docker.compose.oneoff", "False"}});
  engine.edit([&](engine::FakeState& state) { state.containers.at(id).image_id = "sha256:old"; });
  auto repository = backup::open_repository({.name = "shelf", .kind = "restic", .url = "/nowhere", .password = "x"}, store);
  ASSERT_TRUE(repository);
  std::vector<std::string> did;
  bool well = false;
  const auto hands = [&] {
    Hands out{.engine = engine, .repository = **repository, .project = "shop", .store = store};
    out.say = [](std::string_view) {};
    out.pull = [&](const std::string& image) { return did.push_back("pull " + image), Result<void>(); };
    out.name_image = [&](const std::string& image, const std::string& name) { return did.push_back("name " + image + " " + name), Result<void>(); };
    out.start = [&](const std::vector<std::string>& names, const std::vector<std::string>&) { return did.push_back("start " + names.at(0)), well ? Result<void>() : fail(Errc::failed, "not well"); };
    return out;
  };
  Plan plan{.service = "app", .from = "app:1", .image = "app:1", .pull_always = true};
  Upgrade upgrade(hands(), plan);
  EXPECT_FALSE(upgrade.act({}));
  well = true;
  const auto left = read_unfinished(store);
  ASSERT_TRUE(left && *left);
  EXPECT_TRUE(upgrade.go_back(false));
  const std::vector<std::string> expected{"pull app:1", "start app", "name sha256:old app:1", "start app"};
  EXPECT_EQ(did, expected);
  did.clear();
  Upgrade later(hands(), **left);  // by the next run, where this one was killed
  EXPECT_TRUE(later.go_back_from_left({}));
  EXPECT_EQ(did, (std::vector<std::string>{"name sha256:old app:1", "start app"}));
  std::filesystem::remove_all(store);
}

TEST(Upgrade, WhereTheBackupFailsTheTagMeansWhatItMeantBeforeThePull) {
  auto store = testing::TempDir() + "dm-upgrade-XXXXXX";
  ASSERT_NE(::mkdtemp(store.data()), nullptr);
  engine::FakeEngine engine;
  engine.edit([](engine::FakeState& state) { state.images["sha256:old"] = {.id = "sha256:old", .tags = {"app:1"}}; });
  auto repository = backup::open_repository({.name = "shelf", .kind = "restic", .url = "/nowhere", .password = "x"}, store);
  ASSERT_TRUE(repository);
  Hands hands{.engine = engine, .repository = **repository, .project = "shop", .store = store};
  hands.say = [](std::string_view) {};
  bool newer = false;
  hands.pull = [&](const std::string& image) -> Result<void> {
    if (newer)
      engine.edit([&](engine::FakeState& state) {
        state.images["sha256:old"].tags.clear();
        state.images["sha256:new"] = {.id = "sha256:new", .tags = {image}};
      });
    return {};
  };
  std::vector<std::string> did;
  hands.name_image = [&](const std::string& image, const std::string& name) { return did.push_back("name " + image + " " + name), Result<void>(); };
  const Plan plan{.service = "app", .from = "app:1", .image = "app:1", .pull_always = true, .own = {"app"}};  // of which there is nothing that could be saved
  Upgrade same(hands, plan);
  EXPECT_FALSE(same.act({}));
  EXPECT_TRUE(same.undo_pull());
  EXPECT_TRUE(did.empty());
  newer = true;
  Upgrade moved(hands, plan);
  EXPECT_FALSE(moved.act({}));
  EXPECT_FALSE(moved.touched());
  EXPECT_TRUE(moved.undo_pull());
  EXPECT_EQ(did, std::vector<std::string>{"name sha256:old app:1"});
  std::filesystem::remove_all(store);
}

TEST(Upgrade, WhatComposeRanBesideAServiceIsNoneOfItsContainers) {
  auto store = testing::TempDir() + "dm-upgrade-XXXXXX";
  ASSERT_NE(::mkdtemp(store.data()), nullptr);
  engine::FakeEngine engine;
  const auto by_hand = engine.add_container("shop-app-run-1", "app:1", {{"com.docker.compose.project", "shop"}, {"com.docker.compose.service", "app"}, {"com.docker.compose.oneoff", "True"}});
  const auto client = engine.add_container("shop-web-run-1", "web:1", {{"com.docker.compose.project", "shop"}, {"com.docker.compose.service", "web"}, {"com.docker.compose.oneoff", "True"}});
  auto repository = backup::open_repository({.name = "shelf", .kind = "restic", .url = "/nowhere", .password = "x"}, store);
  ASSERT_TRUE(repository);
  Hands hands{.engine = engine, .repository = **repository, .project = "shop", .store = store};
  hands.say = [](std::string_view) {};
  hands.pull = [](const std::string&) { return Result<void>(); };
  std::vector<std::string> started;
  hands.start = [&](std::vector<std::string> names, const std::vector<std::string>&) { return started = std::move(names), Result<void>(); };
  Upgrade upgrade(hands, {.service = "app", .from = "app:1", .image = "app:2", .clients = {"web"}});
  EXPECT_TRUE(upgrade.act({}));
  EXPECT_EQ(started, std::vector<std::string>{"app"});  // web does not run: a container by hand is none of its replicas
  for (const auto& id : {by_hand, client}) EXPECT_TRUE(engine.container(id, Deadline::in(std::chrono::seconds(1)))->running);
  std::filesystem::remove_all(store);
}

class Edit : public testing::Test {
 protected:
  Result<ImageEdit> edit(const std::string& yaml, std::string_view service, std::string_view image) {
    files_.add("/p/compose.yaml", yaml);
    compose::Options options;
    options.working_directory = "/p";
    options.environment["TAG"] = "1";
    loaded_ = compose::load(options, files_);
    return edit_image(*loaded_.project, *loaded_.project->service(service), image);
  }
  sources::MemoryFiles files_;
  compose::Loaded loaded_;
};

TEST_F(Edit, ChangesTheImageAndNothingElse) {
  const std::string yaml = "# my stack\nservices:\n  db:   {image: \"postgres:15\"}  # the database\n  app:\n    image: app:1   # pinned\n";
  EXPECT_EQ(edit(yaml, "db", "postgres:17")->after, "# my stack\nservices:\n  db:   {image: \"postgres:17\"}  # the database\n  app:\n    image: app:1   # pinned\n");
}

TEST_F(Edit, LeavesVariablesToTheirOwner) {
  const auto edited = edit("services:\n  db:\n    image: postgres:${TAG}\n", "db", "postgres:17");
  ASSERT_FALSE(edited);
  EXPECT_EQ(edited.error().code, Errc::unsupported);
  EXPECT_NE(edited.error().message.find("TAG"), std::string::npos);
}

}  // namespace
}  // namespace dm::upgrade

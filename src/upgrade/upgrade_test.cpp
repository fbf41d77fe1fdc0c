#include <gtest/gtest.h>

#include "compose/load.hpp"
#include "upgrade/edit.hpp"
#include "upgrade/judge.hpp"
#include "upgrade/registry.hpp"
#include "upgrade/tags.hpp"

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

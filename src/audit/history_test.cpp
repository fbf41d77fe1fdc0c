/// What the rule over git history says, and how it is suppressed.
#include "audit/history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/suppress.hpp"
#include "compose/load.hpp"

namespace dm::audit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class History : public testing::Test {
 protected:
  History() {
    files_.add("/project/compose.yaml", "services:\n  app: {image: example/app:1}\n");
    files_.add("/project/.env", "TZ=UTC\n");
    compose::Options options;
    options.working_directory = "/project";
    loaded_ = compose::load(options, files_);
    wiring_ = wiring::wire(*loaded_.project, products_);
  }
  Input input() { return {*loaded_.project, wiring_, loaded_.diagnostics, files_, *loaded_.project}; }
  static PastSecret past(std::string file, std::string name, std::string commit = "726f682e1a", Severity severity = Severity::high) {
    return {"/project/" + file, file, 7, std::move(name), "a secret stands here in plain text", severity, "aG... (20 characters)", std::move(commit), "2026-11-26"};
  }

  sources::MemoryFiles files_;
  compose::Loaded loaded_;
  product::Catalogue products_;
  wiring::Wiring wiring_;
};

TEST_F(History, OneFindingForACommitAndAFileWithTheWorstSeverity) {
  const auto found = audit_history(input(), {past("old.env", "B_TOKEN"), past("old.env", "A_KEY", "726f682e1a", Severity::critical), past("old.env", "B_TOKEN", "111f682e1a"), past(".env", "B_TOKEN")});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].severity, Severity::critical);
  EXPECT_EQ(found[0].message, "old.env in git history, commit 726f682e1a of 2026-11-26, shows A_KEY and B_TOKEN to whoever has a clone");
  EXPECT_THAT(found[0].evidence, HasSubstr("line 7: A_KEY aG... (20 characters), a secret stands here in plain text; line 7: B_TOKEN"));
  std::vector<std::string> places;
  for (const auto& one : found) places.push_back(loaded_.project->texts.describe(one.where.front(), "/project"));
  EXPECT_THAT(places, ElementsAre("compose.yaml:1:1", ".env:1:1", "compose.yaml:1:1"));  // the file, where it is still there
}

TEST_F(History, SaysWhatToDoWithEachKind) {
  auto token = past("a", "OpenAI key");
  token.token = true;
  auto used = past("b", "DB_PASSWORD");
  used.in_use = true;
  auto sample = past("c.example", "DB_PASSWORD", "726f682e1a", Severity::info);
  const auto found = audit_history(input(), {token, used, past("d", "URL"), past("e", "-p"), sample, past("f", "A B")});
  ASSERT_EQ(found.size(), 6U);
  EXPECT_THAT(found[0].message, HasSubstr("shows an OpenAI key to"));
  EXPECT_THAT(found[0].hint, HasSubstr("Revoke the OpenAI key where it was issued."));
  EXPECT_THAT(found[1].message, HasSubstr("; still in use: DB_PASSWORD"));
  EXPECT_THAT(found[1].hint, HasSubstr("Change DB_PASSWORD first (`datamancy secrets rotate NAME`"));
  EXPECT_THAT(found[2].message, HasSubstr("shows the password of a URL to"));
  EXPECT_THAT(found[2].hint, HasSubstr("Change the password first."));
  EXPECT_THAT(found[3].message, HasSubstr("shows the password after -p to"));
  EXPECT_THAT(found[4].hint, testing::Not(HasSubstr("rotate")));
  EXPECT_THAT(found[5].hint, HasSubstr("if these are examples"));
}

TEST_F(History, ItsPlaceInHistoryIsReadBackWhateverItsName) {
  for (const std::string file : {"old.env", "a b, commit c/x.env", "../.env"}) {
    const auto found = audit_history(input(), {past(file, "A_KEY")});
    EXPECT_EQ(past_place(found.at(0)).file, file);
    EXPECT_EQ(past_place(found.at(0)).commit, "726f682e1a");
  }
  auto tagged = past("x.env", "A_KEY");
  tagged.date = "";
  const auto found = audit_history(input(), {tagged});
  EXPECT_THAT(found.at(0).message, HasSubstr("x.env in git history, object 726f682e1a, shows"));
  EXPECT_EQ(past_place(found.at(0)).commit, "726f682e1a");
  for (const auto& other : audit(input())) EXPECT_EQ(past_place(other).file, "");
}

TEST_F(History, IsSuppressedByFileAndCommitThoughItStandsElsewhere) {
  const auto suppressed = [&](std::string file) {
    auto found = audit_history(input(), {past("old.env", "A_KEY"), past("old.env", "B_KEY", "111f682e1a")});
    Suppressions given;
    given.exceptions.push_back({"secret-in-history", "", std::move(file), "changed", ".datamancy.yml:1"});
    suppress(input(), std::move(given), found);
    return std::ranges::count_if(found, [](const Finding& one) { return !one.suppressed_by.empty(); });
  };
  EXPECT_EQ(suppressed("old.env"), 2);
  EXPECT_EQ(suppressed("old.env@726f682e1a"), 1);
  EXPECT_EQ(suppressed("old.env@999f682e1a"), 0);
  EXPECT_EQ(suppressed(".env"), 0);
  EXPECT_EQ(suppressed("compose.yaml"), 2);  // where it stands
}

TEST_F(History, ABaselineKnowsEachCommitOfAFile) {
  const auto text = baseline(input(), audit_history(input(), {past("old.env", "A_KEY")}));
  EXPECT_THAT(text, HasSubstr("old.env@726f682e1a"));
  auto found = audit_history(input(), {past("old.env", "A_KEY"), past("old.env", "B_KEY", "111f682e1a", Severity::critical)});
  Suppressions given;
  given.known = *parse_baseline(text, "base");
  suppress(input(), std::move(given), found);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].suppressed_by, "");  // the worse one is new
  EXPECT_EQ(found[1].suppressed_by, "known in the baseline");
}

}  // namespace
}  // namespace dm::audit

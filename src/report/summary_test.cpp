#include "report/summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compose/load.hpp"
#include "report/fragment.hpp"

namespace dm::report {
namespace {

struct Stack {
  sources::MemoryFiles files;
  product::Catalogue products;
  compose::Loaded loaded;
  wiring::Wiring wiring;
  std::vector<audit::Finding> findings;

  explicit Stack(const std::string& yaml, const std::string& more = "") {
    files.add("/p/compose.yaml", yaml);
    compose::Options options;
    options.working_directory = "/p";
    options.lenient = true;
    if (!more.empty()) {
      files.add("/p/more.yaml", more);
      options.files = {"compose.yaml", "more.yaml"};
    }
    loaded = compose::load(options, files);
    EXPECT_TRUE(loaded.usable);
    wiring = wiring::wire(*loaded.project, products);
    findings = audit::audit(input());
  }
  audit::Input input() const { return {*loaded.project, wiring, loaded.diagnostics, files, *loaded.project}; }
  std::string markdown() const {
    const auto in = input();
    return to_markdown(summarise(in, findings, "2026-01-01"));
  }
};

constexpr auto* kClub =
    "name: club\nservices:\n  db:\n    image: postgres:16.4\n    volumes: [pg:/var/lib/postgresql/data]\n"
    "  web:\n    image: nginx:1.27.2\n    ports: ['80:80']\n    depends_on: [db]\nvolumes: {pg: }\n";

TEST(Summary, ADifferentStackGivesADifferentDocument) {
  const auto web = Stack("name: site\nservices:\n  web:\n    image: nginx:1.27.2\n    ports: ['80:80']\n").markdown();
  for (const auto* word : {"PostgreSQL", "database", "GPU visible", "Backup"}) EXPECT_THAT(web, testing::Not(testing::HasSubstr(word)));
  const auto club = Stack(kClub).markdown();
  EXPECT_THAT(club, testing::HasSubstr("pg_stat_activity"));
  EXPECT_THAT(club, testing::HasSubstr("no service backs up the data of db"));
}

TEST(Summary, FilesAloneProveNothing) {
  const auto text = Stack(kClub).markdown();
  EXPECT_THAT(text, testing::Not(testing::HasSubstr(", proven)")));
  EXPECT_THAT(text, testing::HasSubstr("Still to be Proven"));
}

TEST(Summary, TotalsAreTheSumsOfTheirRows) {
  const Stack stack(kClub);
  const auto in = stack.input();
  const auto summary = summarise(in, stack.findings, "");
  unsigned blocking = 0;
  unsigned all = 0;
  for (const auto& step : summary.steps) {
    all += step.minutes;
    if (step.blocking == Blocking::yes) blocking += step.minutes;
  }
  EXPECT_EQ(summary.all_minutes, all);
  EXPECT_EQ(summary.blocking_minutes, blocking);
  EXPECT_GT(blocking, 0U);
}

TEST(Summary, TextOfTheProjectIsNoMarkup) {
  const auto html = to_html([] {
    static const Stack stack("name: x\nservices:\n  'a<b>':\n    image: example/a:1\n  web:\n    image: example/b:1\n    privileged: true\n");
    static const auto in = stack.input();
    return summarise(in, stack.findings, "");
  }());
  EXPECT_THAT(html, testing::Not(testing::HasSubstr("a<b>")));
}

/// Given as one more file, the fragment removes what it is for.
TEST(Fragment, RemovesTheFindingOnWhatItNames) {
  const Stack before(kClub);
  const auto in = before.input();
  unsigned tried = 0;
  for (const auto& finding : before.findings) {
    const auto text = fragment(in, *finding.rule, finding.services);
    if (text.empty()) continue;
    ++tried;
    const Stack after(kClub, text);
    for (const auto& left : after.findings) {
      if (left.rule != finding.rule) continue;
      for (const auto id : left.services) {
        const auto name = std::string(after.loaded.project->services[id].name);
        EXPECT_THAT(text, testing::Not(testing::HasSubstr("\n  " + name + ":\n"))) << finding.rule->id;
      }
    }
  }
  EXPECT_GE(tried, 5U);
}

TEST(Fragment, KnowsNoFigureForAnUnknownImage) {
  const Stack stack("services:\n  a: {image: example/a:1}\n  db: {image: 'postgres:16', volumes: ['v:/var/lib/postgresql/data']}\nvolumes: {v: }\n");
  const auto in = stack.input();
  const auto text = fragment(in, *audit::find_rule("DM0801"), {0, 1});
  EXPECT_THAT(text, testing::HasSubstr("memory: 4096M"));
  EXPECT_THAT(text, testing::HasSubstr("# a: nothing known"));
  EXPECT_EQ(fragment(in, *audit::find_rule("DM0601"), {0}), "");
}

TEST(Diff, PutsALineBelowEachServiceThatLacksIt) {
  const Stack stack("services:\n  # the shop's own\n  db: &store\n    image: postgres:16\n    volumes: ['v:/var/lib/postgresql/data']\n"
                    "  flow: {image: 'postgres:16'}\n  kept:\n    restart: always\n    image: postgres:16\n  cache:\n    # small\n    image: redis:7\nvolumes: {v: }");
  const auto in = stack.input();
  EXPECT_EQ(unified_diff(in, *audit::find_rule("DM0803"), {0, 1, 2, 3}),
            "--- a/compose.yaml\n+++ b/compose.yaml\n"
            "@@ -3,2 +3,3 @@\n   db: &store\n+    restart: unless-stopped\n     image: postgres:16\n"
            "@@ -10,2 +11,3 @@\n   cache:\n+    restart: unless-stopped\n     # small\n");
  EXPECT_EQ(unified_diff(in, *audit::find_rule("DM0601"), {0}), "");
}

TEST(Diff, ShowsNoSecretAndSaysWhereAFileHasNoLastLineEnd) {
  const Stack hidden("services:\n  a:\n    environment: {DB_PASSWORD: sunflower}\n    image: example/a:1\n");
  EXPECT_EQ(unified_diff(hidden.input(), *audit::find_rule("DM0803"), {0}), "");
  const Stack bare("services:\n  a:\n    image: example/a:1");
  EXPECT_THAT(unified_diff(bare.input(), *audit::find_rule("DM0803"), {0}), testing::EndsWith("     image: example/a:1\n\\ No newline at end of file\n"));
}

}  // namespace
}  // namespace dm::report

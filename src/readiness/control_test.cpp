#include "readiness/control.hpp"

#include "compose/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace dm::readiness {
namespace {

/// A project in memory with findings made by hand: the rules themselves are tested elsewhere.
struct Bench {
  sources::MemoryFiles files;
  product::Catalogue products;
  compose::Loaded loaded;
  wiring::Wiring wiring;
  std::vector<audit::Finding> findings;

  explicit Bench(const std::string& yaml) {
    files.add("/p/compose.yaml", yaml);
    compose::Options options;
    options.working_directory = "/p";
    options.lenient = true;
    loaded = compose::load(options, files);
    EXPECT_TRUE(loaded.usable);
    wiring = wiring::wire(*loaded.project, products);
  }
  audit::Input input() { return {*loaded.project, wiring, loaded.diagnostics, files, *loaded.project}; }
  void find(std::string_view rule_id, std::vector<std::string_view> services) {
    const auto* rule = audit::find_rule(rule_id);
    ASSERT_NE(rule, nullptr);
    audit::Finding finding;
    finding.rule = rule;
    finding.severity = rule->severity;
    for (const auto name : services) finding.services.push_back(wiring.id_of(name));
    finding.where.push_back(loaded.project->services.front().where);
    finding.message = "made by hand";
    findings.push_back(std::move(finding));
  }
  Readiness assess() { return readiness::assess(input(), findings); }
};

constexpr auto* kPlain = "services:\n  a: {image: example/a:1}\n  b: {image: example/b:1, depends_on: [a]}\n  c: {image: example/c:1}\n  d: {image: example/d:1}\n";
constexpr auto* kDatabase =
    "services:\n  db: {image: 'postgres:16', volumes: ['pg:/var/lib/postgresql/data']}\n  app: {image: example/app:1}\nvolumes: {pg: }\n";

TEST(Readiness, files_alone_never_prove_anything) {
  Bench bench(kDatabase);
  const auto readiness = bench.assess();
  EXPECT_TRUE(std::ranges::none_of(readiness.assessments, [](const auto& a) { return a.state == State::proven; }));
  EXPECT_EQ(readiness.level, Level::unproven);
  EXPECT_LE(readiness.total.points, 50);
}

TEST(Readiness, an_open_critical_finding_is_not_ready_and_caps_the_score) {
  Bench bench(kPlain);
  bench.find("DM0601", {"d"});
  const auto readiness = bench.assess();
  EXPECT_EQ(readiness.level, Level::not_ready);
  EXPECT_LE(readiness.total.points, kCap);
}

TEST(Readiness, a_suppressed_finding_does_not_count) {
  Bench bench(kPlain);
  bench.find("DM0601", {"d"});
  bench.findings.front().suppressed_by = "needed";
  EXPECT_EQ(bench.assess().level, Level::unproven);
}

TEST(Readiness, a_failing_control_keeps_the_share_of_services_neither_affected_nor_dependent) {
  Bench bench(kPlain);
  bench.find("DM0801", {"a"});  // b depends on a, so 2 of 4 services
  const auto readiness = bench.assess();
  const auto* memory = readiness.find("R44");
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(memory->state, State::failing);
  EXPECT_EQ(memory->dependents.size(), 1U);
  EXPECT_DOUBLE_EQ(memory->earned, memory->control->weight * 0.5 * 0.5);
  EXPECT_GT(memory->gain, 0);
}

TEST(Readiness, the_score_is_the_stated_sum) {
  Bench bench(kDatabase);
  bench.find("DM0803", {"app"});
  const auto readiness = bench.assess();
  double earned = 0;
  double possible = 0;
  for (const auto& assessment : readiness.assessments) {
    if (assessment.state == State::not_applicable) continue;
    earned += assessment.earned;
    possible += assessment.control->weight;
  }
  EXPECT_DOUBLE_EQ(readiness.total.points, 100 * earned / possible);
  EXPECT_GT(readiness.total.after_fixes, readiness.total.points);
}

TEST(Readiness, a_stack_without_a_database_has_no_database_controls) {
  Bench bench(kPlain);
  const auto readiness = bench.assess();
  for (const auto* id : {"R06", "R22", "R55", "R70", "R71", "R73"}) EXPECT_EQ(readiness.find(id)->state, State::not_applicable) << id;
  Bench with(kDatabase);
  const auto other = with.assess();
  for (const auto* id : {"R06", "R55", "R73"}) EXPECT_EQ(other.find(id)->state, State::unknown) << id;
}

TEST(Readiness, what_needs_an_engine_is_unknown_and_says_so) {
  Bench bench(kPlain);
  const auto readiness = bench.assess();
  const auto* starts = readiness.find("R04");
  EXPECT_EQ(starts->state, State::unknown);
  EXPECT_THAT(starts->reason, testing::HasSubstr("running engine"));
  EXPECT_EQ(starts->earned, 0);
}

TEST(Readiness, a_restore_is_proven_only_when_every_datastore_came_back) {
  Bench bench("services:\n  db: {image: 'postgres:16', volumes: ['pg:/var/lib/postgresql/data']}\n"
              "  cms: {image: 'mariadb:11', volumes: ['my:/var/lib/mysql']}\nvolumes: {pg: , my: }\n");
  Proofs proofs;
  proofs.now = 1000;
  const auto drilled = [](std::string subject, state::Outcome result) {
    return state::Proof{.control = "drill.restore", .subject = std::move(subject), .result = result, .evidence = "run 1: equal", .made = 900, .expires = 2000, .binding = {}, .command = "datamancy drill restore"};
  };
  proofs.newest = {drilled("db", state::Outcome::verified)};
  auto readiness = readiness::assess(bench.input(), bench.findings, &proofs);
  EXPECT_EQ(readiness.find("R73")->state, State::unknown);
  EXPECT_EQ(readiness.find("R73")->reason, "proven for db, not for cms");
  proofs.newest.push_back(drilled("cms", state::Outcome::verified));
  readiness = readiness::assess(bench.input(), bench.findings, &proofs);
  EXPECT_EQ(readiness.find("R73")->state, State::proven);
  EXPECT_EQ(readiness.find("R76")->state, State::proven);
  // A drill is bound to its own service, not to the stack as a whole.
  proofs.present.whole = {.engine = "e", .image = "all", .config = "all"};
  proofs.present.services = {{"db", {.engine = "e", .image = "pg"}}, {"cms", {.engine = "e", .image = "maria"}}};
  proofs.newest[0].binding = {.engine = "e", .image = "pg"};
  proofs.newest[1].binding = {.engine = "e", .image = "maria"};
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R73")->state, State::proven);
  proofs.present.services["cms"].image = "newer";
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R73")->state, State::unknown);
  proofs.present.services["cms"].image = "maria";
  // A service that was removed since leaves its last, failed drill behind.
  proofs.newest.push_back(drilled("gone", state::Outcome::failed));
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R73")->state, State::proven);
  proofs.newest[1].result = state::Outcome::failed;
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R73")->state, State::failing);
}

TEST(Readiness, a_drill_of_the_whole_stack_measures_recovery) {
  Bench bench("services:\n  db: {image: 'postgres:16', volumes: ['pg:/var/lib/postgresql/data']}\nvolumes: {pg: }\n");
  Proofs proofs;
  proofs.now = 1000;
  proofs.newest = {{.control = "drill.stack", .subject = "", .result = state::Outcome::verified, .evidence = "run 1: back in 40 s", .made = 900, .expires = 2000, .binding = {}, .command = "datamancy drill stack"}};
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R76")->state, State::proven);
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R73")->state, State::unknown) << "a datastore may have come since";
  proofs.newest[0].result = state::Outcome::failed;
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R76")->state, State::failing);
  proofs.newest[0].result = state::Outcome::verified;
  proofs.newest[0].expires = 950;
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R76")->state, State::unknown);
}

TEST(Readiness, what_came_back_in_a_drill_is_covered_whatever_the_files_show) {
  Bench bench("services:\n  db: {image: 'postgres:16', volumes: ['pg:/var/lib/postgresql/data']}\n  wiki: {image: example/wiki:1, volumes: ['pages:/data']}\n"
              "volumes: {pg: {name: x_pg}, pages: {name: x_pages}}\n");
  bench.find("DM0403", {"db"});
  bench.find("DM0403", {"wiki"});
  Proofs proofs;
  proofs.now = 1000;
  for (const auto* subject : {"db", "volume:x_pages"})
    proofs.newest.push_back({.control = "drill.restore", .subject = subject, .result = state::Outcome::verified, .evidence = "equal", .made = 900, .expires = 2000, .binding = {}, .command = "datamancy drill restore"});
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R71")->state, State::proven);
  proofs.newest.pop_back();
  const auto readiness = readiness::assess(bench.input(), bench.findings, &proofs);
  EXPECT_EQ(readiness.find("R71")->state, State::failing);
  EXPECT_EQ(readiness.find("R71")->findings.size(), 1U);
}

TEST(Readiness, what_the_files_say_is_proven_where_what_runs_is_of_them) {
  Bench bench(kPlain);
  Proofs proofs;
  proofs.now = 1000;
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R20")->state, State::configured);
  proofs.newest.push_back({.control = std::string(kApplied), .subject = "", .result = state::Outcome::verified, .evidence = "4 containers", .made = 900, .expires = 2000, .binding = {}, .command = "datamancy audit --live"});
  auto readiness = readiness::assess(bench.input(), bench.findings, &proofs);
  EXPECT_EQ(readiness.find("R20")->state, State::proven);
  EXPECT_EQ(readiness.find("R01")->state, State::configured);  // says nothing about profiles that are off
  bench.find("DM0601", {"d"});
  EXPECT_EQ(readiness::assess(bench.input(), bench.findings, &proofs).find("R20")->state, State::failing);
}

TEST(Controls, each_item_of_the_origin_that_is_a_property_of_a_stack_has_a_control) {
  std::string all;
  for (const auto& control : controls()) all += " " + std::string(control.origin) + " ";
  std::vector<int> items{1, 2, 3, 4, 5, 6, 7, 8};  // O61 - O66 are parts of the report
  for (const auto& [from, to] : {std::pair{10, 20}, {31, 43}, {51, 56}, {67, 67}, {71, 80}})
    for (int i = from; i <= to; ++i) items.push_back(i);
  for (const int item : items) EXPECT_THAT(all, testing::HasSubstr(" O" + std::to_string(item) + " "));
}

TEST(Controls, ids_are_unique_and_named_rules_exist) {
  std::set<std::string_view> seen;
  for (const auto& control : controls()) {
    EXPECT_TRUE(seen.insert(control.id).second) << control.id;
    for (std::size_t at = 0; control.rules != "*" && at < control.rules.size(); at += 7)
      EXPECT_NE(audit::find_rule(control.rules.substr(at, 6)), nullptr) << control.id << " " << control.rules.substr(at, 6);
  }
}

}  // namespace
}  // namespace dm::readiness

#include "deploy/gate.hpp"

#include <gmock/gmock.h>

namespace dm::deploy {
namespace {

using namespace std::chrono_literals;
using Status = Snapshot::Status;
using Health = Snapshot::Health;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const auto kStart = Clock::time_point(1000s);

std::vector<std::string> starts(Gate& gate) {
  std::vector<std::string> names;
  for (const auto& action : gate.take_actions())
    names.push_back((action.kind == Action::Kind::start ? "" : action.kind == Action::Kind::probe ? "probe " : "end ") + action.service);
  return names;
}

Snapshot running(Health health = Health::none) { return {.status = Status::running, .health = health}; }
Snapshot exited(int code) { return {.status = Status::exited, .exit_code = code}; }

/// db (healthcheck) <- migrate (one-shot) <- app; other stands alone.
std::vector<Job> stack() {
  return {{.name = "app", .needs = {{"db", Condition::healthy}, {"migrate", Condition::completed}}, .chain = 1s},
          {.name = "migrate", .needs = {{"db", Condition::healthy}}, .one_shot = true, .chain = 2s},
          {.name = "db", .has_check = true, .budget = 60s, .chain = 9s},
          {.name = "other", .chain = 1s}};
}

TEST(Gate, StartsWhatNeedsNothingAndTheLongestChainFirst) {
  Gate gate(stack(), {});
  EXPECT_THAT(starts(gate), ElementsAre("db", "other"));
  EXPECT_THAT(starts(gate), IsEmpty());
  EXPECT_THAT(gate.view("app").why, HasSubstr("waits for db to be healthy"));
}

TEST(Gate, LetsDependentsGoAtTheMomentTheirConditionsHold) {
  Gate gate(stack(), {});
  starts(gate);
  gate.seen("db", "1", running(Health::starting), kStart);
  EXPECT_THAT(starts(gate), IsEmpty());
  gate.seen("db", "1", running(Health::healthy), kStart + 1s);
  EXPECT_THAT(starts(gate), ElementsAre("migrate"));
  gate.seen("migrate", "2", running(), kStart + 1s);
  EXPECT_THAT(starts(gate), IsEmpty()) << "a one-shot that runs is not done";
  gate.seen("migrate", "2", exited(0), kStart + 2s);
  EXPECT_THAT(starts(gate), ElementsAre("app"));
}

TEST(Gate, TheStabilityWindowDelaysTheVerdictButNoDependent) {
  Gate gate(stack(), {.settle = 3s});
  gate.seen("db", "1", running(Health::healthy), kStart);
  gate.seen("migrate", "2", exited(0), kStart);
  gate.seen("app", "3", running(), kStart);
  gate.seen("other", "4", running(), kStart);
  EXPECT_FALSE(gate.finished());
  EXPECT_EQ(gate.next_tick(kStart), kStart + 3s);
  gate.tick(kStart + 3s);
  EXPECT_TRUE(gate.finished());
  EXPECT_EQ(gate.view("app").phase, Phase::ready);
}

TEST(Gate, WhatEndsWithoutAnErrorIsToldHowToSayThatItIsAJob) {
  Gate gate(stack(), {});
  gate.seen("other", "4", exited(0), kStart);
  EXPECT_EQ(gate.view("other").phase, Phase::failed);
  EXPECT_EQ(gate.view("other").why, "ended with exit code 0, and nothing says that it is a job (`x-datamancy: {one_shot: true}` does)");
  gate.seen("db", "1", exited(3), kStart);
  EXPECT_EQ(gate.view("db").why, "ended with exit code 3");
}

TEST(Gate, ARestartIsAFailureEvenWhereItRunsAgain) {
  Gate gate(stack(), {});
  gate.seen("other", "4", running(), kStart);
  auto again = running();
  again.restarts = 1;
  again.last_exit = 3;  // its own exit code is 0 again
  gate.seen("other", "4", again, kStart + 1s);
  EXPECT_EQ(gate.view("other").phase, Phase::failed);
  EXPECT_THAT(gate.view("other").why, HasSubstr("exit code 3"));
  Gate unseen(stack(), {});
  again.last_exit.reset();
  unseen.seen("other", "4", again, kStart + 1s);
  EXPECT_EQ(unseen.view("other").why, "keeps restarting (1 time)");
}

TEST(Gate, AnOldRestartCountOfWhatRanBeforeIsNoFailure) {
  Gate gate({{.name = "old", .start = false}}, {});
  Snapshot s = running();
  s.restarts = 7;
  s.running_for = 1h;
  gate.seen("old", "1", s, kStart);
  EXPECT_TRUE(gate.finished());
  EXPECT_EQ(gate.view("old").phase, Phase::ready);
}

TEST(Gate, AFailureBlocksItsOwnBranchOnlyAndNamesTheFirstCause) {
  auto jobs = stack();
  jobs.push_back({.name = "edge", .needs = {{"app", Condition::started}}});
  Gate gate(jobs, {});
  gate.seen("db", "1", exited(1), kStart);
  EXPECT_EQ(gate.view("migrate").phase, Phase::blocked);
  EXPECT_EQ(gate.view("edge").phase, Phase::blocked);
  EXPECT_EQ(gate.view("edge").first_cause, "db");
  EXPECT_FALSE(gate.finished()) << "the other branch goes on";
  gate.seen("other", "4", running(), kStart);
  gate.tick(kStart + 4s);
  EXPECT_TRUE(gate.finished());
  EXPECT_EQ(gate.view("other").phase, Phase::ready);
}

TEST(Gate, AnOptionalDependencyThatFailsIsANotice) {
  Gate gate({{.name = "a", .has_check = true}, {.name = "b", .needs = {{"a", Condition::healthy, false}}}}, {});
  starts(gate);
  gate.refused("a", "port is already allocated", kStart);
  EXPECT_THAT(starts(gate), ElementsAre("b"));
  EXPECT_THAT(gate.notices(), ElementsAre(HasSubstr("goes on without it")));
}

TEST(Gate, AOneShotThatFailsIsAFailureAndExitZeroOfAServerToo) {
  Gate gate(stack(), {});
  gate.seen("db", "1", running(Health::healthy), kStart);
  gate.seen("migrate", "2", exited(2), kStart);
  EXPECT_EQ(gate.view("migrate").phase, Phase::failed);
  gate.seen("other", "4", exited(0), kStart);
  EXPECT_EQ(gate.view("other").phase, Phase::failed);
}

TEST(Gate, UnhealthyIsAFailureAndSoIsABudgetThatRanOut) {
  Gate gate({{.name = "a", .has_check = true, .budget = 60s}, {.name = "b", .has_check = true, .budget = 5s}}, {});
  gate.seen("a", "1", running(Health::unhealthy), kStart);
  EXPECT_THAT(gate.view("a").why, HasSubstr("unhealthy"));
  gate.seen("b", "2", running(Health::starting), kStart);
  gate.tick(kStart + 4s);
  EXPECT_EQ(gate.view("b").phase, Phase::running);
  gate.tick(kStart + 6s);
  EXPECT_THAT(gate.view("b").why, HasSubstr("not healthy 5 s after"));
}

TEST(Gate, AnEarlyCheckLetsDependentsGoAfterTwoPassesASecondApart) {
  auto jobs = stack();
  jobs[2].early = true;
  Gate gate(jobs, {});
  starts(gate);
  gate.seen("db", "1", running(Health::starting), kStart);
  EXPECT_THAT(starts(gate), ElementsAre("probe db"));
  gate.checked("db", true, kStart + 100ms);
  gate.checked("db", true, kStart + 600ms);
  EXPECT_THAT(starts(gate), IsEmpty()) << "not a second apart";
  gate.checked("db", false, kStart + 800ms);
  gate.checked("db", true, kStart + 1000ms);
  gate.checked("db", true, kStart + 2000ms);
  EXPECT_THAT(starts(gate), ElementsAre("end db", "migrate"));
  EXPECT_EQ(gate.view("db").phase, Phase::early);
  gate.tick(kStart + 9s);
  EXPECT_FALSE(gate.finished()) << "the engine has to confirm";
  gate.seen("db", "1", running(Health::healthy), kStart + 10s);
  EXPECT_EQ(gate.view("db").phase, Phase::ready);
  EXPECT_THAT(gate.notices(), IsEmpty());
}

TEST(Gate, AnEarlyPassThatTheEngineContradictsIsReported) {
  Gate gate({{.name = "db", .has_check = true, .early = true, .budget = 60s}}, {});
  gate.seen("db", "1", running(Health::starting), kStart);
  gate.checked("db", true, kStart);
  gate.checked("db", true, kStart + 1s);
  gate.seen("db", "1", running(Health::unhealthy), kStart + 9s);
  EXPECT_EQ(gate.view("db").phase, Phase::failed);
  EXPECT_THAT(gate.notices(), ElementsAre(HasSubstr("passed twice when asked early")));
}

TEST(Gate, WhatWasUnhealthyBeforeGetsOneMoreCheck) {
  for (const bool mends : {true, false}) {
    Gate gate({{.name = "a", .start = false, .has_check = true, .recheck = 10s}}, {.settle = 0s});
    gate.seen("a", "1", running(Health::unhealthy), kStart);
    EXPECT_FALSE(gate.finished());
    EXPECT_THAT(gate.view("a").why, HasSubstr("was unhealthy before this run"));
    if (mends) gate.seen("a", "1", running(Health::healthy), kStart + 4s);
    gate.tick(kStart + 11s);
    EXPECT_TRUE(gate.finished());
    EXPECT_EQ(gate.view("a").phase, mends ? Phase::ready : Phase::failed);
  }
}

TEST(Gate, AllReplicasHaveToBeReady) {
  Gate gate({{.name = "web", .containers = 2, .has_check = false}, {.name = "edge", .needs = {{"web", Condition::healthy}}}}, {});
  EXPECT_THAT(gate.view("edge").why, HasSubstr("has no healthcheck"));
  gate.seen("web", "1", running(), kStart);
  EXPECT_EQ(gate.view("web").phase, Phase::starting);
  gate.seen("web", "2", running(), kStart);
  EXPECT_EQ(gate.view("web").phase, Phase::ready);
}

TEST(Gate, EarlierRestartsOfAReplicaThatRunsAlreadyAreNoFailure) {
  Gate gate({{.name = "web", .containers = 2, .has_check = false}}, {});
  auto old = running();
  old.restarts = 5;
  gate.seen("web", "1", old, kStart, /*ran_before=*/true);
  gate.seen("web", "2", running(), kStart);
  EXPECT_EQ(gate.view("web").phase, Phase::ready);
  old.restarts = 6;
  gate.seen("web", "1", old, kStart + 1s, true);
  EXPECT_EQ(gate.view("web").phase, Phase::failed);
}

TEST(Gate, TheDeadlineEndsEverythingThatIsNotReady) {
  Gate gate(stack(), {.deadline = kStart + 10s, .deadline_text = "10s"});
  gate.seen("db", "1", running(Health::starting), kStart);
  gate.tick(kStart + 10s);
  EXPECT_TRUE(gate.finished());
  EXPECT_THAT(gate.view("db").why, HasSubstr("not ready within 10s"));
  EXPECT_EQ(gate.view("app").phase, Phase::blocked);
}

}  // namespace
}  // namespace dm::deploy

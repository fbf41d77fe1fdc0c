#include "deploy/bring_up.hpp"

#include <gtest/gtest.h>

#include "deploy/look.hpp"
#include "engine/fake.hpp"

namespace dm::deploy {
namespace {

using namespace std::chrono_literals;

std::string container(engine::FakeEngine& fake, const std::string& name, const std::string& service) {
  return fake.add_container(name, "app:1", {{"com.docker.compose.project", "p"}, {"com.docker.compose.service", service}});
}

Result<UpOutcome> go(engine::FakeEngine& fake, Change change, std::size_t replicas) {
  Plan plan{.project = "p"};
  plan.steps.push_back({.service = "web", .change = change, .containers = replicas});
  plan.steps[0].job = {.name = "web", .containers = replicas, .start = change != Change::none, .has_check = false};
  const auto present = look(fake, "p", Deadline::in(5s));
  if (!present) return fail(present.error());
  UpOptions options;
  options.settle = 0ms;
  options.deadline = Clock::now() + 4s;
  options.deadline_text = "4s";
  const auto progress = make_progress(ProgressForm::quiet, false);
  return bring_up(fake, ComposeCli({}, "p"), plan, *present, options, *progress, Deadline::in(10s));
}

TEST(BringUp, AReplicaThatStoppedIsStartedBesideThoseThatRun) {
  engine::FakeEngine fake;
  container(fake, "p-web-1", "web");
  const auto stopped = container(fake, "p-web-2", "web");
  ASSERT_TRUE(fake.stop(stopped, 0, Deadline::in(1s)));
  const auto outcome = go(fake, Change::start, 2);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
}

TEST(BringUp, WhereNothingIsToBeDoneTheEngineIsNotAskedAgain) {
  engine::FakeEngine fake;
  container(fake, "p-web-1", "web");
  const auto outcome = go(fake, Change::none, 1);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
  EXPECT_EQ(outcome->containers.size(), 1U);
  EXPECT_LT(outcome->seconds, 1.0);
}

}  // namespace
}  // namespace dm::deploy

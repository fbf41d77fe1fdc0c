#include "deploy/bring_up.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "deploy/look.hpp"
#include "engine/fake.hpp"

namespace dm::deploy {
namespace {

using namespace std::chrono_literals;

engine::Labels labels_of(const std::string& service) { return {{"com.docker.compose.project", "p"}, {"com.docker.compose.service", service}}; }

std::string container(engine::FakeEngine& fake, const std::string& name, const std::string& service) { return fake.add_container(name, "app:1", labels_of(service)); }

UpOptions options_for(Clock::duration deadline) {
  UpOptions options;
  options.settle = 0ms;
  options.deadline = Clock::now() + deadline;
  options.deadline_text = "the time of this test";
  return options;
}

Result<UpOutcome> go(engine::FakeEngine& fake, const Plan& plan, const UpOptions& options) {
  const auto present = look(fake, "p", Deadline::in(5s));
  if (!present) return fail(present.error());
  const auto progress = make_progress(ProgressForm::quiet, false);
  return bring_up(fake, ComposeCli({}, "p"), plan, *present, options, *progress, Deadline::in(1h));
}

Plan plan_of(const std::string& service, Change change, std::size_t replicas = 1) {
  Plan plan{.project = "p"};
  plan.steps.push_back({.service = service, .change = change, .containers = replicas});
  plan.steps[0].job = {.name = service, .containers = replicas, .start = change != Change::none, .has_check = false};
  return plan;
}

/// Waits until it holds; a minute is the end of a broken test, not a bound.
void await(const std::function<bool()>& holds) {
  for (int i = 0; i < 6000 && !holds(); ++i) std::this_thread::sleep_for(10ms);
  ASSERT_TRUE(holds());
}

std::string why(const UpOutcome& outcome, const std::string& service) {
  const auto found = std::ranges::find(outcome.services, service, &Ended::service);
  return found == outcome.services.end() ? "" : found->view.why;
}

/// A container with a healthcheck that does not answer for now; it is started by the run.
std::string unanswering(engine::FakeEngine& fake, const std::string& service) {
  fake.on_start([](engine::Container& one) { one.health.status = "starting"; });
  const auto id = container(fake, "p-" + service + "-1", service);
  fake.edit([&](engine::FakeState& state) { state.containers[id].healthcheck.test = {"CMD", "true"}; });
  EXPECT_TRUE(fake.stop(id, 0, Deadline::in(1s)));
  return id;
}

void ends(engine::FakeEngine& fake, const std::string& id, int exit_code, bool told) {
  engine::Event event{.time = 0, .type = "container", .action = "die", .id = id, .attributes = labels_of("web")};
  fake.edit([&](engine::FakeState& state) {
    auto& one = state.containers[id];
    one.state = "exited";
    one.running = false;
    one.exit_code = exit_code;
  });
  if (told) fake.emit(event);
}

bool runs(engine::FakeEngine& fake, const std::string& id) {
  bool out = false;
  fake.edit([&](engine::FakeState& state) { out = state.containers[id].running; });
  return out;
}

TEST(BringUp, AReplicaThatStoppedIsStartedBesideThoseThatRun) {
  engine::FakeEngine fake;
  container(fake, "p-web-1", "web");
  const auto stopped = container(fake, "p-web-2", "web");
  ASSERT_TRUE(fake.stop(stopped, 0, Deadline::in(1s)));
  const auto outcome = go(fake, plan_of("web", Change::start, 2), options_for(4s));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
}

TEST(BringUp, WhereNothingIsToBeDoneTheEngineIsNotAskedAgain) {
  engine::FakeEngine fake;
  container(fake, "p-web-1", "web");
  const auto outcome = go(fake, plan_of("web", Change::none), options_for(4s));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
  EXPECT_EQ(outcome->containers.size(), 1U);
  EXPECT_EQ(fake.asked("events"), 0U);
  EXPECT_EQ(fake.asked("containers"), 1U);
}

TEST(BringUp, AnEngineThatStaysAwayIsGivenUp) {
  engine::FakeEngine fake;
  unanswering(fake, "web");
  for (int i = 0; i < 10000; ++i) fake.fail_next("events", {Errc::unavailable, "nobody there", {}});
  auto options = options_for(1h);
  options.away = 300ms;
  const auto outcome = go(fake, plan_of("web", Change::start), options);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_FALSE(outcome->fine);
  EXPECT_EQ(why(*outcome, "web"), "fake has not answered for 0.3 s: its healthcheck has not passed yet") << outcome_text(*outcome, "p");
}

TEST(BringUp, AnEngineThatComesBackInTimeIsNotGivenUp) {
  engine::FakeEngine fake;
  const auto id = unanswering(fake, "web");
  for (int i = 0; i < 3; ++i) fake.fail_next("events", {Errc::unavailable, "nobody there", {}});
  auto options = options_for(1h);
  options.away = 1h;
  std::jthread later([&] {
    await([&] { return fake.asked("events") >= 4 && runs(fake, id); });
    fake.edit([&](engine::FakeState& state) { state.containers[id].health.status = "healthy"; });
    fake.emit({.time = 0, .type = "container", .action = "health_status: healthy", .id = id, .attributes = labels_of("web")});
  });
  const auto outcome = go(fake, plan_of("web", Change::start), options);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
}

TEST(BringUp, OneThatRunsAgainIsSaidToHaveEndedAsItDid) {
  engine::FakeEngine fake;
  const auto id = unanswering(fake, "web");
  std::jthread later([&] {
    await([&] { return runs(fake, id) && fake.asked("events") == 1; });
    auto attributes = labels_of("web");
    attributes["exitCode"] = "7";
    const auto before = fake.asked("container");
    fake.emit({.time = 0, .type = "container", .action = "die", .id = id, .attributes = attributes});
    await([&] { return fake.asked("container") > before; });  // the event was taken in
    // The engine has started it again: what it says of it from now on is exit code 0.
    fake.edit([&](engine::FakeState& state) { state.containers[id].restart_count = 1; });
    fake.emit({.time = 0, .type = "container", .action = "start", .id = id, .attributes = labels_of("web")});
  });
  const auto outcome = go(fake, plan_of("web", Change::start), options_for(1h));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(why(*outcome, "web"), "keeps restarting (1 time); it ended with exit code 7") << outcome_text(*outcome, "p");
}

TEST(BringUp, WhatEndsWhileTheEngineIsAwayEndedWithIt) {
  engine::FakeEngine fake;
  const auto id = unanswering(fake, "web");
  std::atomic<bool> away = false;
  fake.on_list([&] {  // the first look after the gap is the first that sees it
    if (away.exchange(false)) ends(fake, id, 137, false);
  });
  std::jthread later([&] {
    await([&] { return runs(fake, id) && fake.asked("events") == 1; });
    away = true;
    fake.lose_events();
  });
  const auto outcome = go(fake, plan_of("web", Change::start), options_for(1h));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_NE(why(*outcome, "web").find("it ended with it"), std::string::npos) << outcome_text(*outcome, "p");
}

TEST(BringUp, WhatEndsAfterTheEngineCameBackHasAReasonOfItsOwn) {
  engine::FakeEngine fake;
  const auto id = unanswering(fake, "web");
  std::jthread later([&] {
    await([&] { return runs(fake, id) && fake.asked("events") == 1; });
    const auto before = fake.asked("containers");
    fake.lose_events();
    await([&] { return fake.asked("events") == 2 && fake.asked("containers") > before; });  // the look at everything after the gap
    // The next look at everything is begun only when the answer of one before it has been taken in: the second from here says it for both.
    for (const auto seen = fake.asked("containers"); fake.asked("containers") < seen + 2;) await([&, now = fake.asked("containers")] { return fake.asked("containers") > now; });
    ends(fake, id, 3, true);
  });
  const auto outcome = go(fake, plan_of("web", Change::start), options_for(1h));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(why(*outcome, "web"), "ended with exit code 3") << outcome_text(*outcome, "p");
}

/// A Compose that says when it was asked to create, and is through when it is let go; the test makes the containers meanwhile.
class WaitingCompose {
 public:
  WaitingCompose() {
    std::string pattern = (std::filesystem::temp_directory_path() / "up-order-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(folder_ / "cli-plugins");
    const auto program = folder_ / "cli-plugins/docker-compose";
    std::ofstream(program) << "#!/bin/sh\n: > " << asked().string() << "\nwhile [ ! -e " << (folder_ / "go").string() << " ]; do sleep 0.02; done\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    if (const char* before = std::getenv("DOCKER_CONFIG"); before != nullptr) before_ = before;  // NOLINT(concurrency-mt-unsafe)
    ::setenv("DOCKER_CONFIG", folder_.c_str(), 1);                                               // NOLINT(concurrency-mt-unsafe)
  }
  ~WaitingCompose() {
    if (before_.empty()) ::unsetenv("DOCKER_CONFIG");              // NOLINT(concurrency-mt-unsafe)
    else ::setenv("DOCKER_CONFIG", before_.c_str(), 1);            // NOLINT(concurrency-mt-unsafe)
    std::filesystem::remove_all(folder_);
  }
  WaitingCompose(const WaitingCompose&) = delete;
  WaitingCompose& operator=(const WaitingCompose&) = delete;
  std::filesystem::path asked() const { return folder_ / "asked"; }
  void let_go() const { std::ofstream(folder_ / "go"); }

 private:
  std::filesystem::path folder_;
  std::string before_;
};

/// Two new services: "side" with nothing behind it, "db" with the longest chain. Compose makes side first.
Plan two_new() {
  Plan plan{.project = "p"};
  for (const auto& [service, chain] : {std::pair{"side", 1000ms}, std::pair{"db", 60000ms}}) {
    plan.steps.push_back({.service = service, .change = Change::create});
    plan.steps.back().job = {.name = service, .has_check = false, .chain = chain};
  }
  return plan;
}

void make(engine::FakeEngine& fake, const std::string& service) {
  engine::NewContainer wanted;
  wanted.name = service;
  wanted.image = "app:1";
  wanted.labels = labels_of(service);
  ASSERT_TRUE(fake.create(wanted, Deadline::in(1s)));
}

std::vector<std::string> starts(const engine::FakeEngine& fake) {
  std::vector<std::string> out;
  for (const auto& call : fake.calls())
    if (call.starts_with("start ")) out.push_back(call.substr(6));
  return out;
}

TEST(BringUp, WhileComposeCreatesTheLongestChainStartsFirstHoweverLateItIsMade) {
  engine::FakeEngine fake;
  fake.add_image("app:1");
  const WaitingCompose compose;
  std::jthread later([&] {
    await([&] { return std::filesystem::exists(compose.asked()) && fake.asked("events") == 1; });
    make(fake, "side");
    await([&] { return fake.asked("container") >= 1; });
    // A look is begun when the one before it was taken in; two later, side would be among the starters before db, where nothing held it back.
    std::string side;
    fake.edit([&](engine::FakeState& state) {
      for (const auto& [id, one] : state.containers) side = id;
    });
    for (int i = 0; i < 4; ++i) {
      const auto seen = fake.asked("container");
      fake.emit({.time = 0, .type = "container", .action = "update", .id = side, .attributes = labels_of("side")});
      await([&] { return fake.asked("container") > seen; });
    }
    EXPECT_TRUE(starts(fake).empty());
    make(fake, "db");
    await([&] { return starts(fake).size() == 2; });  // both while Compose is still at it
    compose.let_go();
  });
  auto options = options_for(1h);
  options.patience = 1h;
  options.fan_out = 1;
  const auto outcome = go(fake, two_new(), options);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
  EXPECT_EQ(starts(fake), (std::vector<std::string>{"db", "side"}));
}

TEST(BringUp, ANewContainerThatAnEventSpokeOfWhileAllWereLookedAtIsTakenIn) {
  engine::FakeEngine fake;
  const auto old = container(fake, "p-web-1", "web");
  fake.add_image("app:1");
  const WaitingCompose compose;
  std::atomic<bool> armed = false;
  std::string fresh;
  fake.on_list([&] {  // after Compose was through: an answer about the new container overtakes the one about all
    if (!armed.exchange(false)) return;
    const auto before = fake.asked("container");
    fake.emit({.time = 0, .type = "container", .action = "rename", .id = fresh, .attributes = labels_of("web")});
    await([&] { return fake.asked("container") > before; });
    std::this_thread::sleep_for(300ms);  // and is taken in
  });
  std::jthread later([&] {
    await([&] { return std::filesystem::exists(compose.asked()) && fake.asked("containers") == 2; });  // ours, and the one after subscribing
    make(fake, "web");
    fake.edit([&](engine::FakeState& state) {
      state.containers.erase(old);
      fresh = state.containers.begin()->first;
    });
    armed = true;
    compose.let_go();
  });
  const auto outcome = go(fake, plan_of("web", Change::recreate), options_for(1h));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
}

TEST(BringUp, AComposeThatTakesLongHoldsNobodyBackForEver) {
  engine::FakeEngine fake;
  fake.add_image("app:1");
  const WaitingCompose compose;
  std::jthread later([&] {
    await([&] { return std::filesystem::exists(compose.asked()) && fake.asked("events") == 1; });
    make(fake, "side");
    await([&] { return starts(fake).size() == 1; });
    make(fake, "db");
    compose.let_go();
  });
  auto options = options_for(1h);
  options.patience = 100ms;
  const auto outcome = go(fake, two_new(), options);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->fine) << outcome_text(*outcome, "p");
  EXPECT_EQ(starts(fake), (std::vector<std::string>{"side", "db"}));
}

}  // namespace
}  // namespace dm::deploy

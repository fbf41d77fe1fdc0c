#include "engine/fake.hpp"

#include <gtest/gtest.h>

#include "engine/event_feed.hpp"

namespace dm::engine {
namespace {

Deadline soon() { return Deadline::in(std::chrono::seconds(10)); }

TEST(Fake, ContainersAreFoundByNameIdAndLabel) {
  FakeEngine engine;
  const auto id = engine.add_container("web", "nginx:1", {{"com.docker.compose.project", "shop"}});
  engine.add_container("other", "nginx:1");
  EXPECT_EQ(engine.container("web", soon())->id, id);
  EXPECT_EQ(engine.container(id.substr(0, 12), soon())->name, "web");
  const auto list = engine.containers({{"com.docker.compose.project=shop"}, {}, {}, {}, true}, soon());
  ASSERT_EQ(list->size(), 1U);
  EXPECT_EQ(list->at(0).name, "web");
  EXPECT_EQ(engine.container("gone", soon()).error().code, Errc::not_found);
}

TEST(Fake, ExecFeedsAndStreamsAndRecordsWhatRan) {
  FakeEngine engine;
  engine.add_container("db", "postgres:17");
  engine.on_exec([](const Container&, const Exec& command, const std::string& in) -> Result<ExecResult> { return ExecResult{3, command.argv.back() + in, "", 0, 0, true}; });
  std::string out;
  Exec command;
  command.argv = {"pg_dump", "blog"};
  bool given = false;
  command.in = [&]() -> Result<std::string> { return std::exchange(given, true) ? "" : "!"; };
  command.out = [&](std::string_view bytes) -> Result<void> { out += bytes; return {}; };
  EXPECT_EQ(engine.exec("db", command, soon())->exit_code, 3);
  EXPECT_EQ(out, "blog!");
  EXPECT_EQ(engine.calls(), std::vector<std::string>{"exec db pg_dump blog"});
}

TEST(EventFeed, FirstSaysReconcileThenGivesEventsAndReconcilesAgainAfterALoss) {
  FakeEngine engine;
  const auto id = engine.add_container("web", "nginx:1");
  EventFeed feed(engine);
  EXPECT_EQ(feed.next(soon())->kind, Notice::Kind::reconcile);
  ASSERT_TRUE(engine.kill("web", "KILL", soon()));
  EXPECT_EQ(feed.next(soon())->event.action, "kill");
  const auto died = feed.next(soon());
  EXPECT_EQ(died->event.action, "die");
  EXPECT_EQ(died->event.attributes.at("exitCode"), "137");
  engine.lose_events();
  EXPECT_EQ(feed.next(soon())->kind, Notice::Kind::lost);
  EXPECT_EQ(feed.next(soon())->kind, Notice::Kind::reconcile);
}

TEST(EventFeed, AConsumerThatStallsLosesNoKnowledgeOnlyEvents) {
  FakeEngine engine;
  EventFeed feed(engine, {}, 10);
  ASSERT_EQ(feed.next(soon())->kind, Notice::Kind::reconcile);
  for (int i = 0; i < 1000; ++i) engine.emit({0, "container", "start", std::to_string(i), {}});
  engine.emit({0, "container", "last", "x", {}});
  bool reconcile = false;
  std::size_t taken = 0;
  for (std::string action; action != "last"; ++taken) {
    const auto notice = feed.next(soon());
    ASSERT_TRUE(notice);
    reconcile = reconcile || notice->kind == Notice::Kind::reconcile;
    action = notice->event.action;
  }
  EXPECT_TRUE(reconcile || taken == 1001);  // where the reader was slower than we
}

TEST(EventFeed, WaitingEndsAtTheDeadlineAndWhenStopped) {
  FakeEngine engine;
  EventFeed feed(engine);
  ASSERT_TRUE(feed.next(soon()));
  EXPECT_EQ(feed.next(Deadline::in(std::chrono::milliseconds(20))).error().code, Errc::timeout);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(feed.next(Deadline::in(std::chrono::seconds(10), stop.get_token())).error().code, Errc::conflict);
}

}  // namespace
}  // namespace dm::engine

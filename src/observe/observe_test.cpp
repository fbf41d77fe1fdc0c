#include "observe/observe.hpp"

#include <gtest/gtest.h>

#include "engine/fake.hpp"
#include "facts/json.hpp"

namespace dm::observe {
namespace {

Deadline soon() { return Deadline::in(std::chrono::seconds(10)); }

TEST(Observe, SeesTheContainersOfOneProjectAndNothingSecret) {
  engine::FakeEngine engine;
  const engine::Labels labels{{"com.docker.compose.project", "shop"}, {"com.docker.compose.service", "web"}, {"com.docker.compose.container-number", "1"}, {"com.docker.compose.config-hash", "h"}};
  const auto id = engine.add_container("shop-web-1", "web:1", labels);
  engine.add_container("other", "web:1");
  engine.edit([&](engine::FakeState& state) {
    auto& one = state.containers[id];
    one.env = {"PASSWORD=hunter2"};
    one.command = {"serve", "--token", "hunter2"};
    one.log_options = {{"max-size", "10m"}, {"splunk-token", "hunter2"}};
    one.health = {"unhealthy", 3, {{0, 5'000'000'000, -1, "password=hunter2 executable file not found"}}};
    one.healthcheck = {{"CMD", "wget"}, 10'000'000'000, 5'000'000'000, 20'000'000'000, 0, 4};
    one.limits.memory = 1 << 20;
  });
  const auto facts = observe(engine, {"shop", {"web:1", "db:2"}, {}, ""}, soon());
  ASSERT_TRUE(facts) << facts.error().describe();
  ASSERT_EQ(facts->containers.size(), 1U);
  const auto& one = facts->containers[0];
  EXPECT_EQ(one.service + one.config_hash, "webh");
  EXPECT_EQ(one.health_budget, 20 + 4 * 15);
  EXPECT_EQ(one.health_log.at(0).exit_code, -1);
  EXPECT_EQ(facts->image("db:2")->id, "");
  EXPECT_EQ(facts->image("web:1")->id, one.image_id);
  EXPECT_FALSE(facts->host.seen);
  EXPECT_FALSE(facts->unknown.empty());
  EXPECT_EQ(facts::to_json(*facts).find("hunter2"), std::string::npos);
}

TEST(Observe, AnEngineThatDoesNotAnswerIsAnErrorAndNotAnEmptyProject) {
  engine::FakeEngine engine;
  engine.fail_next("containers", Error{Errc::unavailable, "gone", {}});
  EXPECT_EQ(observe(engine, {"shop", {}, {}, ""}, soon()).error().code, Errc::unavailable);
}

}  // namespace
}  // namespace dm::observe

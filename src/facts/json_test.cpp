#include "facts/json.hpp"

#include <gtest/gtest.h>

namespace dm::facts {
namespace {

TEST(Facts, ComeBackFromJsonAsTheyWere) {
  Facts facts;
  facts.observed = 1795647978;
  facts.project = "shop";
  facts.engine.default_bridge_icc = false;
  facts.daemon.log_options = {{"max-size", "10m"}};
  facts.containers.push_back({.name = "shop-web-1", .service = "web", .oom_kills = 2, .health_log = {{5, 127, "wget: not found"}}, .ports = {{80, 8080, "0.0.0.0", "tcp"}}});
  facts.containers.push_back({.name = "shop-web-run-1", .service = "web", .oneoff = true});
  facts.unknown = {"the engine is on another machine"};
  const auto text = to_json(facts);
  const auto back = from_json(text);
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_EQ(to_json(*back), text);
  EXPECT_EQ(back->engine.default_bridge_icc, std::optional(false));
  EXPECT_FALSE(back->daemon.userland_proxy.has_value());
  ASSERT_EQ(back->of("web").size(), 1U);
  EXPECT_EQ(back->of("web")[0]->oom_kills, 2);
}

TEST(Facts, OtherJsonIsRefusedAndMissingFieldsKeepTheirDefaults) {
  EXPECT_EQ(from_json("{").error().code, Errc::invalid_input);
  EXPECT_EQ(from_json("{}").error().code, Errc::invalid_input);
  EXPECT_EQ(from_json(R"({"datamancy_facts":2})").error().code, Errc::unsupported);
  EXPECT_EQ(from_json(R"({"datamancy_facts":1,"containers":[{"name":7}]})").error().code, Errc::invalid_input);
  const auto few = from_json(R"({"datamancy_facts":1,"containers":[{"name":"a"}],"later":true})");
  ASSERT_TRUE(few);
  EXPECT_EQ(few->containers.at(0).number, 1);
}

}  // namespace
}  // namespace dm::facts

#include "wiring/graph_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wiring/testing.hpp"

namespace dm::wiring {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kStack = R"(services:
  app:
    image: example/app:1
    networks: [front]
    environment:
      DATABASE_URL: postgres://u:sunflower-42@db:5432/app
      CACHE_HOST: cache
    depends_on: [cache]
  cache: {image: "valkey/valkey:8", networks: [front]}
  db: {image: "postgres:17", networks: [back], volumes: ["data:/var/lib/postgresql/data"]}
networks: {front: , back: }
volumes: {data: }
)";

TEST(GraphText, SaysWhoCallsWhomAndWhereThatIsWritten) {
  const testing::Wired p(kStack);
  const auto text = graph_text(p.wiring);
  EXPECT_THAT(text, HasSubstr("  -> cache  environment CACHE_HOST, compose.yaml:7:19  [front]\n"));
  EXPECT_THAT(text, HasSubstr("  -> db as db:5432  environment DATABASE_URL, compose.yaml:6:47  [no_common_network]\n"));
  EXPECT_THAT(text, HasSubstr("db  (datastore)  [back]\n"));
  EXPECT_THAT(text, HasSubstr("  <- app\n"));
}

TEST(GraphText, NoFormShowsASecret) {
  const testing::Wired p(kStack);
  for (const auto& text : {graph_text(p.wiring), graph_dot(p.wiring), graph_json(p.wiring), graph_svg(p.wiring)}) EXPECT_THAT(text, Not(HasSubstr("sunflower")));
}

TEST(GraphDot, MarksWhatCannotBeReached) {
  const testing::Wired p(kStack);
  EXPECT_THAT(graph_dot(p.wiring), HasSubstr("\"app\" -> \"db\" [label=\"5432\", color=red, style=bold];"));
}

TEST(GraphJson, HasEveryReferenceWithItsPlace) {
  const testing::Wired p(kStack);
  EXPECT_THAT(graph_json(p.wiring), HasSubstr("\"outcome\": \"no_common_network\""));
  EXPECT_THAT(graph_json(p.wiring), HasSubstr("\"line\": 6"));
}

TEST(GraphSvg, StandsAlone) {
  const testing::Wired p(kStack);
  const auto svg = graph_svg(p.wiring);
  EXPECT_THAT(svg, HasSubstr("<svg xmlns="));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, Not(HasSubstr("href")));
  EXPECT_EQ(svg, graph_svg(testing::Wired(kStack).wiring));
}

TEST(GraphForms, CirclesAndEmptyProjectsEnd) {
  const testing::Wired circle(R"(services:
  a: {image: "example/a:1", environment: {B_DB_HOST: b}}
  b: {image: "example/b:1", environment: {A_DB_HOST: a}}
)");
  EXPECT_THAT(graph_svg(circle.wiring), HasSubstr("b -&gt; a"));
  EXPECT_THAT(graph_text(circle.wiring), HasSubstr("-> b"));
  const testing::Wired empty("services: {}\n");
  EXPECT_THAT(graph_svg(empty.wiring), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace dm::wiring

#include "audit/suppress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wiring/testing.hpp"

namespace dm::audit {
namespace {

/// "RULE service: reason" of each finding of `rule`, those that count with "counts".
struct Judged {
  wiring::testing::Wired wired;
  std::vector<Finding> findings;
  std::vector<std::string> warnings;
  explicit Judged(std::string_view text, Suppressions given = {}) : wired(text) {
    const auto in = input();
    findings = audit(in);
    warnings = suppress(in, std::move(given), findings);
  }
  Input input() const {
    return {*wired.loaded.project, wired.wiring, wired.loaded.diagnostics, wired.files, *wired.loaded.project};
  }
  std::string of(std::string_view rule) const {
    std::string out;
    for (const auto& finding : findings) {
      if (finding.rule->id != rule) continue;
      for (const auto id : finding.services) out += std::string(wired.wiring.service(id).name) + " ";
      out += finding.suppressed_by.empty() ? "counts\n" : finding.suppressed_by + "\n";
    }
    return out;
  }
};

constexpr auto* kTwo =
    "services:\n"
    "  a:\n"
    "    image: example/a:1\n"
    "    privileged: true  # datamancy: ignore DM0601: flashes the radio\n"
    "  b:\n"
    "    image: example/b:1\n"
    "    # datamancy: ignore privileged: the same, by name\n"
    "    privileged: true\n"
    "  c:\n"
    "    image: example/c:1\n"
    "    privileged: true\n";

TEST(Suppress, ACommentOnTheLineOrDirectlyAboveIt) {
  const Judged run(kTwo);
  EXPECT_EQ(run.of("DM0601"), "a flashes the radio (compose.yaml:4)\nb the same, by name (compose.yaml:7)\nc counts\n");
}

TEST(Suppress, WithoutAReasonNothingIsSuppressed) {
  const Judged run("services:\n  a:\n    image: example/a:1\n    privileged: true  # datamancy: ignore DM0601\n");
  EXPECT_EQ(run.of("DM0601"), "a counts\n");
  ASSERT_EQ(run.warnings.size(), 1U);
  EXPECT_THAT(run.warnings[0], testing::HasSubstr("compose.yaml:4"));
}

TEST(Suppress, ABlanketFindingIsDivided) {
  const Judged run("services:\n  a:  # datamancy: ignore DM0801: measured\n    image: example/a:1\n  b:\n    image: example/b:1\n");
  EXPECT_EQ(run.of("DM0801"), "b counts\na measured (compose.yaml:2)\n");
}

TEST(Suppress, ExceptionsOfTheProjectFile) {
  auto exceptions = parse_exceptions("suppress:\n  - {rule: DM0601, service: c, reason: legacy}\n  - {rule: DM0605, reason: unused}\n", ".datamancy.yml");
  ASSERT_TRUE(exceptions);
  const Judged run(kTwo, {*exceptions, {}});
  EXPECT_THAT(run.of("DM0601"), testing::HasSubstr("c legacy (.datamancy.yml:2)\n"));
  ASSERT_EQ(run.warnings.size(), 1U);
  EXPECT_THAT(run.warnings[0], testing::HasSubstr("DM0605 matches no finding"));
}

TEST(Suppress, AnExceptionNeedsARuleAndAReason) {
  for (const auto* text : {"suppress: [{rule: DM0601}]", "suppress: [{rule: DM9999, reason: x}]", "ignore: []", "suppress: [{rule: DM0601, reason: x, host: y}]"})
    EXPECT_FALSE(parse_exceptions(text, ".datamancy.yml")) << text;
  EXPECT_TRUE(parse_exceptions("\n", ".datamancy.yml"));
}

TEST(Suppress, ABaselineKnowsSoManyAndNoMore) {
  const Judged first(kTwo);
  const auto text = baseline(first.input(), first.findings);
  auto known = parse_baseline(text, "baseline.json");
  ASSERT_TRUE(known);
  const Judged second(kTwo, {{}, *known});
  for (const auto& finding : second.findings) EXPECT_NE(finding.suppressed_by, "") << finding.rule->id;
  const Judged third(std::string(kTwo) + "  d:\n    image: example/d:1\n    privileged: true\n", {{}, *known});
  EXPECT_THAT(third.of("DM0601"), testing::HasSubstr("d counts\n"));
  EXPECT_FALSE(parse_baseline("{}", "x"));
}

}  // namespace
}  // namespace dm::audit

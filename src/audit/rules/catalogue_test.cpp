/// Holds for every rule, present and future: a rule is tested by its own examples.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "audit/history.hpp"
#include "audit/live.hpp"
#include "audit/rules/live_rules.hpp"
#include "audit/rules/rules.hpp"
#include "compose/load.hpp"
#include "facts/json.hpp"
#include "formats/yaml.hpp"

namespace dm::audit {
namespace {

struct Example {
  sources::MemoryFiles files;
  std::vector<std::string> marked;  // "path:line" of each line that carried the marker
};

/// Splits an example into its files (`-- PATH [MODE]`) and takes the markers out.
void read_example(std::string_view text, std::string_view id, Example& out) {
  const std::string marker = "  # <- " + std::string(id);
  std::string path = "compose.yaml";
  std::string content;
  std::uint32_t mode = 0644;
  std::size_t line = 1;
  const auto flush = [&] { out.files.add("/project/" + path, content, mode); };
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (row.starts_with("-- ")) {
      flush();
      const auto space = row.find(' ', 3);
      path = row.substr(3, space - 3);
      mode = space == std::string_view::npos ? 0644 : static_cast<std::uint32_t>(std::stoul(std::string(row.substr(space + 1)), nullptr, 8));
      content.clear();
      line = 1;
      continue;
    }
    if (row.ends_with(marker)) {
      out.marked.push_back(fmt::format("{}:{}", path, line));
      row.remove_suffix(marker.size());
    }
    content += std::string(row) + "\n";
    ++line;
  }
  flush();
}

std::vector<PastSecret> past_of(const std::string& text) {
  std::vector<PastSecret> out;
  const auto parsed = formats::parse_yaml(text);
  EXPECT_TRUE(parsed) << parsed.error().describe();
  if (!parsed) return out;
  for (const auto& item : parsed->items) {
    const auto of = [&](std::string_view key) { return item.find(key) != nullptr ? std::string(item.find(key)->text) : std::string(); };
    out.push_back({"/project/" + of("file"), of("file"), std::stoul(of("line")), of("name"), of("kind"), of("severity") == "critical" ? Severity::critical : Severity::high, of("shown"), of("commit"), of("date")});
  }
  return out;
}

/// The places where `rule` finds something.
std::vector<std::string> found(const Rule& rule, const Example& example) {
  compose::Options options;
  options.working_directory = "/project";
  options.lenient = true;
  auto loaded = compose::load(options, example.files);
  const product::Catalogue products;
  const auto wiring = wiring::wire(*loaded.project, products);
  std::vector<Finding> findings;
  Report report(rule, findings);
  const Input input{*loaded.project, wiring, loaded.diagnostics, example.files, *loaded.project};
  rule.check(input, report);
  // An example of a rule over facts has a file with what was observed.
  const auto live = std::ranges::find_if(live_rules(), [&](const LiveRule* one) { return &one->rule == &rule; });
  if (live != live_rules().end()) {
    const auto facts = facts::from_json(*example.files.read("/project/facts.json"));
    EXPECT_TRUE(facts) << facts.error().describe();
    if (facts) (*live)->look(LiveInput{input, &*facts}, report);
  }
  // One of the rule over git history has what was found there.
  if (&rule == &rules::secret_in_history) std::ranges::move(audit_history(input, past_of(*example.files.read("/project/history.yaml"))), std::back_inserter(findings));
  std::vector<std::string> out;
  for (const Finding& finding : findings) {
    EXPECT_FALSE(finding.where.empty());
    EXPECT_FALSE(finding.message.empty());
    const auto place = loaded.project->texts.describe(finding.where.front(), "/project");
    out.push_back(place.substr(0, place.rfind(':')));
  }
  return out;
}

class EveryRule : public testing::TestWithParam<const Rule*> {};

TEST_P(EveryRule, IsDescribed) {
  const Rule& rule = *GetParam();
  EXPECT_TRUE(rule.id.size() == 6 && rule.id.starts_with("DM")) << rule.id;
  EXPECT_LE(rule.summary.size(), 80U);
  EXPECT_FALSE(rule.summary.ends_with('.'));
  EXPECT_FALSE(rule.rationale.empty());
  EXPECT_FALSE(rule.fix.empty());
  EXPECT_FALSE(rule.checks.empty());
  EXPECT_GT(rule.minutes, 0U);
}

TEST_P(EveryRule, FindsExactlyTheMarkedLines) {
  Example example;
  read_example(GetParam()->bad, GetParam()->id, example);
  EXPECT_FALSE(example.marked.empty()) << "mark at least one line with '# <- " << GetParam()->id << "'";
  EXPECT_THAT(found(*GetParam(), example), testing::UnorderedElementsAreArray(example.marked));
}

TEST_P(EveryRule, AcceptsItsGoodExample) {
  Example example;
  read_example(GetParam()->good, GetParam()->id, example);
  EXPECT_THAT(found(*GetParam(), example), testing::IsEmpty());
}

TEST_P(EveryRule, AcceptsItsLookAlike) {
  Example example;
  ASSERT_FALSE(GetParam()->look_alike.empty());
  read_example(GetParam()->look_alike, GetParam()->id, example);
  EXPECT_THAT(found(*GetParam(), example), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Catalogue, EveryRule, testing::ValuesIn(all_rules().begin(), all_rules().end()), [](const auto& instance) {
  std::string name(instance.param->name);
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(Catalogue, IdsAndNamesAreUniqueAndInOrder) {
  const auto rules = all_rules();
  EXPECT_EQ(std::ranges::adjacent_find(rules, std::ranges::greater_equal{}, &Rule::id), rules.end());
  std::set<std::string_view> names;
  for (const Rule* rule : rules) EXPECT_TRUE(names.insert(rule->name).second) << rule->name;
}

/// A catcher of test mails on the host's network is a small matter only where it listens to the machine itself.
TEST(HostNetwork, OfAMailCatcherOnLoopbackIsLow) {
  const auto severity = [](std::string_view listen) {
    sources::MemoryFiles files;
    files.add("/project/compose.yaml", fmt::format("services:\n  mail:\n    image: axllent/mailpit:v1.30\n    network_mode: host\n"
                                                   "    command: [--listen, \"{}\", --smtp, \"127.0.0.1:1025\"]\n", listen));
    compose::Options options;
    options.working_directory = "/project";
    auto loaded = compose::load(options, files);
    const product::Catalogue products;
    const auto wiring = wiring::wire(*loaded.project, products);
    std::vector<Finding> findings;
    const auto* rule = find_rule("host-network");
    Report report(*rule, findings);
    rule->check(Input{*loaded.project, wiring, loaded.diagnostics, files, *loaded.project}, report);
    return findings.size() == 1 ? findings.front().severity : Severity::info;
  };
  EXPECT_EQ(severity("127.0.0.1:8025"), Severity::low);
  EXPECT_EQ(severity("0.0.0.0:8025"), Severity::high);
}

TEST(Catalogue, EveryRuleFileIsListed) {
  std::set<std::string> listed{"helpers.cpp", "daemon_settings.cpp"};
#define DM_NAME_RULE(name) listed.insert(#name ".cpp");
  DM_AUDIT_RULES(DM_NAME_RULE)
  DM_LIVE_RULES(DM_NAME_RULE)
#undef DM_NAME_RULE
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(DM_SOURCE_DIR "/src/audit/rules")) {
    const auto name = entry.path().filename().string();
    if (name.ends_with(".cpp") && !name.ends_with("_test.cpp")) files.insert(name);
  }
  EXPECT_EQ(listed, files);
}

}  // namespace
}  // namespace dm::audit

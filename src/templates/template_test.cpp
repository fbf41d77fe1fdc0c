#include "templates/template.hpp"

#include <gtest/gtest.h>

#include <map>

#include "templates/filters.hpp"

namespace dm::templates {
namespace {

Rendered rendered(std::string_view text) {
  static const std::map<std::string_view, std::string_view> kValues = {
      {"DOMAIN", "example.org"}, {"empty", ""}, {"nasty", "p'a\"s$s \\ #;\n:x"}, {"spaced", "a b"}, {"quote", "it's"}, {"plain", "aB3-_x"}};
  return render("f.tmpl", text, [](std::string_view name) -> std::optional<std::string_view> {
    const auto found = kValues.find(name);
    return found == kValues.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(Template, PutsValuesInAndLeavesTheRestByteForByte) {
  EXPECT_EQ(rendered("host: @{DOMAIN}\r\n{{ jinja }} ${X} {$Y}\t@home {").text, "host: example.org\r\n{{ jinja }} ${X} {$Y}\t@home {");
  EXPECT_EQ(rendered("@{ plain }@{plain}").text, "aB3-_xaB3-_x");
}

TEST(Template, TwoAtsAreTheCharactersThemselves) {
  const auto out = rendered("@@{DOMAIN} @@ @{plain}");
  EXPECT_EQ(out.text, "@{DOMAIN} @@ aB3-_x");
  EXPECT_TRUE(out.problems.empty());
}

TEST(Template, ReportsEveryProblemOfAFileWithItsPlace) {
  const auto out = rendered("a: @{DOMAIM}\n  b: @{empty}\nc: @{plain | yamll}\nd: @{spaced}\ne: @{DOMAIN\nf: @{plain |}\ng: @{a-b}\n");
  ASSERT_EQ(out.problems.size(), 7U);
  EXPECT_EQ(out.problems[0].describe(), "f.tmpl:1:4: variable DOMAIM is not declared");
  EXPECT_EQ(out.problems[1].describe(), "f.tmpl:2:6: variable empty is not set");
  EXPECT_NE(out.problems[2].message.find("no filter 'yamll'"), std::string::npos);
  EXPECT_NE(out.problems[3].message.find("filter"), std::string::npos);
  EXPECT_EQ(out.problems[4].line, 5U);
  EXPECT_EQ(out.problems[5].message, "a filter is missing after '|'");
  EXPECT_NE(out.problems[6].message.find("'a-b' is no name"), std::string::npos);
}

TEST(Template, OptionalComesBeforeTheFilters) {
  const auto lookup = [](std::string_view name) -> std::optional<std::string_view> { return name == "UNSET" ? "" : "a b"; };
  EXPECT_EQ(render("f", "@{UNSET | optional | yaml} @{X | optional | yaml}", lookup).text, "\"\" \"a b\"");
  EXPECT_EQ(render("f", "@{X | yaml | optional}", lookup).problems.at(0).message, "'optional' comes first, as in @{NAME | optional | yaml}");
}

TEST(Template, NeverShowsAValueInAProblem) {
  for (const auto* text : {"@{nasty}", "@{nasty | line}", "@{nasty | pgbouncer}"}) {
    const auto out = rendered(text);
    ASSERT_EQ(out.problems.size(), 1U) << text;
    EXPECT_EQ(out.problems[0].message.find("p'a"), std::string::npos);
  }
}

TEST(Template, AnOptionalValueMayBeUnset) {
  EXPECT_EQ(rendered("x=@{empty | optional}").text, "x=");
  EXPECT_EQ(rendered("x=@{empty | optional | json}").text, "x=\"\"");
  EXPECT_TRUE(rendered("@{empty | optional}").problems.empty());
}

TEST(Template, EachFilterQuotesForItsFormat) {
  const auto one = [](std::string_view filter, std::string_view value) { return find_filter(filter)->apply(value).value(); };
  const std::string_view nasty = "p'a\"s$s \\\n";
  EXPECT_EQ(one("json", nasty), R"("p'a\"s$s \\\n")");
  EXPECT_EQ(one("yaml", "a\xE2\x80\xA8" "b"), "\"a\\u2028b\"");
  EXPECT_EQ(one("sql", "it's"), "'it''s'");
  EXPECT_EQ(one("sql", "a\\'b"), " E'a\\\\\\'b'");
  EXPECT_EQ(one("mysql", "a\\'b"), "'a\\\\\\'b'");
  EXPECT_EQ(one("dotenv", "a$b\"c"), "'a$b\"c'");
  EXPECT_EQ(one("dotenv", "it's $5"), "\"it's \\$5\"");
  EXPECT_EQ(one("shell", "it's"), "'it'\\''s'");
  EXPECT_EQ(one("xml", "<a b='\"&'>"), "&lt;a b=&apos;&quot;&amp;&apos;&gt;");
  EXPECT_EQ(one("url", "a b/@:%\xC3\xA9"), "a%20b%2F%40%3A%25%C3%A9");
  EXPECT_EQ(one("pgbouncer", "a\"b"), "a\"\"b");
  EXPECT_EQ(one("plist", "a\"\\"), "\"a\\\"\\\\\"");
  EXPECT_EQ(one("sha256", "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(one("base64", "abcd"), "YWJjZA==");
  EXPECT_FALSE(find_filter("json")->apply("\xFF"));
  EXPECT_FALSE(find_filter("line")->apply("a\nb"));
  EXPECT_FALSE(find_filter("shell")->apply(std::string_view("a\0b", 3)));
}

TEST(Template, FiltersStandInOrderAndSayWhatTheyDo) {
  std::string_view before;
  for (const auto& filter : filters()) {
    EXPECT_LT(before, filter.name);
    EXPECT_FALSE(filter.what.empty());
    before = filter.name;
  }
}

TEST(Template, NamesTheNearestVariable) {
  EXPECT_EQ(nearest("DOMAIM", {"DOMAIN", "TZ"}), "DOMAIN");
  EXPECT_EQ(nearest("x", {"something_else"}), "");
}

}  // namespace
}  // namespace dm::templates

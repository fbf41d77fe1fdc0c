#include "report/markup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dm::report::markup {
namespace {

TEST(Markup, NothingFromAFileBecomesMarkup) {
  EXPECT_EQ(to_html(plain("<script>alert(1)</script> **x** `y` a|b")),
            "<p>&lt;script&gt;alert(1)&lt;/script&gt; **x** `y` a|b</p>\n");
  EXPECT_THAT(to_html(fenced("```\n</pre><b>")), testing::HasSubstr("```\n&lt;/pre&gt;&lt;b&gt;"));
}

TEST(Markup, HeadingsListsTablesCode) {
  EXPECT_EQ(to_html("# A\n\nb\nc\n\n* d\n  * e\n\n1. f\n"),
            "<h1>A</h1>\n<p>b<br>\nc</p>\n<ul>\n<li>d</li>\n<li class=\"inner\">e</li>\n</ul>\n<ol>\n<li>f</li>\n</ol>\n");
  EXPECT_EQ(to_html("| a | b |\n|---|---|\n| `x \\| y` | **z** |\n"),
            "<table>\n<tr><th>a</th><th>b</th></tr>\n<tr><td><code>x | y</code></td><td><strong>z</strong></td></tr>\n</table>\n");
}

TEST(Markup, APageNeedsNothingFromOutside) {
  const auto text = page("a & b", "# x\n\n## Risk\n", "<svg></svg>", "Risk");
  EXPECT_THAT(text, testing::HasSubstr("<title>a &amp; b</title>"));
  EXPECT_LT(text.find("<svg>"), text.find("<h2>Risk"));
  EXPECT_THAT(text, testing::Not(testing::AnyOf(testing::HasSubstr("http"), testing::HasSubstr("<script"))));
}

TEST(Markup, XmlForbidsControlBytes) { EXPECT_EQ(html(std::string_view("a\0b\x1b", 4)), "a\xEF\xBF\xBD" "b\xEF\xBF\xBD"); }

}  // namespace
}  // namespace dm::report::markup

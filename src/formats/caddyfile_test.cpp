#include "formats/caddyfile.hpp"

#include <gtest/gtest.h>

namespace dm::formats {
namespace {

void print(const std::vector<CaddyDirective>& block, std::string& out) {
  for (const auto& directive : block) {
    out += " " + directive.name.text;
    for (const auto& word : directive.arguments) out += "(" + word.text + ")";
    if (!directive.has_block) continue;
    out += " {";
    print(directive.block, out);
    out += " }";
  }
}

/// "options; address,address: directive(argument) block; ..." or the first error.
std::string tree(std::string_view text, const CaddyLookup& lookup = {}) {
  const auto file = parse_caddyfile(text, lookup);
  if (!file.errors.empty())
    return "error at '" + std::string(text.substr(file.errors[0].where.begin, file.errors[0].where.size())) + "': " + file.errors[0].message;
  std::string out;
  if (!file.options.empty()) {
    out += "options:";
    print(file.options, out);
    out += "; ";
  }
  for (const auto& site : file.sites) {
    for (const auto& word : site.addresses) out += (&word == &site.addresses[0] ? "" : ",") + word.text;
    out += ":";
    print(site.directives, out);
    out += "; ";
  }
  return out;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<CaddyError> errors;
  std::vector<std::string> out;
  for (const auto& token : caddy_tokens(text, {}, errors)) out.push_back(token.text);
  for (const auto& error : errors) out.push_back("error: " + error.message);
  return out;
}

using Words = std::vector<std::string>;

TEST(CaddyTokens, QuotesBackticksAndEscapes) {
  EXPECT_EQ(words(R"(a "b \"c\" \d" `e "f" \g` h"i)"), (Words{"a", R"(b "c" \d)", R"(e "f" \g)", "h\"i"}));
  EXPECT_EQ(words("\"\" x"), (Words{"", "x"}));
  EXPECT_EQ(words("\"open to the end"), Words{"open to the end"});
}

TEST(CaddyTokens, CommentsBeginAtTheStartOfAWord) { EXPECT_EQ(words("a#b # c\n#d\ne"), (Words{"a#b", "e"})); }

TEST(CaddyTokens, HeredocsLoseTheirMargin) {
  EXPECT_EQ(words("respond <<HTML\n    <p>\n\n      x\n    HTML 200"), (Words{"respond", "<p>\n\n  x", "200"}));
  EXPECT_EQ(words("a << b"), (Words{"a", "<<", "b"}));
  EXPECT_EQ(words("a \\<<b\nc"), (Words{"a", "<<b", "c"}));
  EXPECT_EQ(words("a <<E\n  x\n"), (Words{"a", "error: the heredoc's end mark 'E' is missing"}));
  EXPECT_EQ(words("a <<END\nx\n  END"), (Words{"a", "error: a line of the heredoc is indented less than its end mark"}));
}

TEST(CaddyTokens, ABackslashJoinsLines) { EXPECT_EQ(tree("a.com\nlog x \\\n  y\nz"), "a.com: log(x)(y) z; "); }

TEST(Caddyfile, ReadsOptionsSitesAndNestedBlocks) {
  EXPECT_EQ(tree("{\n email a@b.c\n}\na.com, b.com,\nc.com {\n @post {\n  method POST\n }\n reverse_proxy @post x:1 y:2 {\n  lb_policy first\n }\n file_server\n}\n"),
            "options: email(a@b.c); a.com,b.com,c.com: @post { method(POST) } reverse_proxy(@post)(x:1)(y:2) { lb_policy(first) } file_server; ");
}

TEST(Caddyfile, OneSiteNeedsNoBraces) { EXPECT_EQ(tree("localhost\nreverse_proxy app:80\nencode gzip"), "localhost: reverse_proxy(app:80) encode(gzip); "); }

TEST(Caddyfile, PutsSnippetsInPlaceWithTheirArguments) {
  EXPECT_EQ(tree("(up) {\n reverse_proxy {args[0]}:{args[1]}\n header {args[2:]}\n}\na {\n import up app 80 x y\n log\n}\n"),
            "a: reverse_proxy(app:80) header(x)(y) log; ");
  EXPECT_EQ(tree("(w) {\n handle {\n  {block}\n }\n}\na {\n import w {\n  respond ok\n }\n}\n"), "a: handle { respond(ok) }; ");
  EXPECT_EQ(tree("(in) {\n log\n}\n(out) {\n import in\n encode gzip\n}\na {\n import out\n}\n"), "a: log encode(gzip); ");
}

TEST(Caddyfile, ArgumentsAreFoundWhereTheyWereGiven) {
  const std::string_view text = "(up) {\n reverse_proxy {args[0]}\n}\na {\n import up app:80\n}\n";
  const auto file = parse_caddyfile(text);
  const auto where = file.sites.at(0).directives.at(0).arguments.at(0).where;
  EXPECT_EQ(where.begin, text.find("app:80"));
  EXPECT_EQ(text.substr(where.begin, where.size()), "app:80");
}

TEST(Caddyfile, NamesImportedFiles) {
  const auto file = parse_caddyfile("import sites/*.caddy\na {\n import common.conf\n}\n");
  ASSERT_EQ(file.imports.size(), 2U);
  EXPECT_EQ(file.imports[0].pattern.text, "sites/*.caddy");
  EXPECT_EQ(file.imports[1].pattern.text, "common.conf");
}

TEST(Caddyfile, ReplacesVariablesBeforeItReadsWords) {
  const CaddyLookup lookup = [](std::string_view name) {
    return name == "UP" ? std::optional<std::string>("app:1 app:2") : std::nullopt;
  };
  const std::string_view text = "a.{$DOMAIN:test.org} {\n reverse_proxy {$UP}\n respond {$NONE} {host}\n}\n";
  EXPECT_EQ(tree(text, lookup), "a.test.org: reverse_proxy(app:1)(app:2) respond({host}); ");
  EXPECT_EQ(tree(text), "a.{$DOMAIN:test.org}: reverse_proxy({$UP}) respond({$NONE})({host}); ");
  const auto file = parse_caddyfile(text, lookup);
  const auto address = file.sites.at(0).addresses.at(0).where;
  EXPECT_EQ(text.substr(address.begin, address.size()), "a.{$DOMAIN:test.org}");
  const auto second = file.sites.at(0).directives.at(0).arguments.at(1).where;
  EXPECT_EQ(text.substr(second.begin, second.size()), "{$UP}");
}

TEST(Caddyfile, KnowsMatchers) {
  const auto file = parse_caddyfile("a {\n handle_path /api/* {\n }\n root * /srv\n reverse_proxy x:1\n @m path /x\n}\n");
  const auto& list = file.sites.at(0).directives;
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].matcher()->text, "/api/*");
  EXPECT_EQ(list[1].matcher()->text, "*");
  EXPECT_EQ(list[2].matcher(), nullptr);
  EXPECT_EQ(list[3].matcher(), nullptr);
}

TEST(Caddyfile, SaysWhatCaddyRefuses) {
  EXPECT_EQ(tree("a {\n log\n"), "error at 'log': '}' is missing at the end of the file");
  EXPECT_EQ(tree("a {\n}\n}\n"), "error at '}': '}' that nothing opened");
  EXPECT_EQ(tree("a{\n}\n"), "error at 'a{': put a space between the address and '{'");
  EXPECT_EQ(tree("a,b {\n}\n"), "error at 'a,b': put a space after the comma between addresses");
  EXPECT_EQ(tree("a {\n handle { respond ok }\n}\n"), "error at 'respond': begin a new line after '{'");
  EXPECT_EQ(tree("a {\n}\n{\n debug\n}\n"), "error at '{': the block of global options must come first; a site needs an address");
  EXPECT_EQ(tree("(s) {\n}\n(s) {\n}\n"), "error at '(s)': snippet 's' is declared twice");
  EXPECT_EQ(tree("(s) {\n import s\n}\na {\n import s\n}\n"), "error at 'import': imports are nested too deeply, or in a circle");
}

TEST(Caddyfile, RefusesSnippetsThatGrowWithoutEnd) {
  std::string text = "(s0) {\n respond aaaaaaaa\n}\n";
  for (int i = 1; i < 19; ++i) {
    text += "(s" + std::to_string(i) + ") {\n";
    for (int j = 0; j < 10; ++j) text += " import s" + std::to_string(i - 1) + "\n";
    text += "}\n";
  }
  EXPECT_NE(tree(text + "a {\n import s18\n}\n").find("imports make the file too large"), std::string::npos);
}

}  // namespace
}  // namespace dm::formats

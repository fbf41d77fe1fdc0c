#include "formats/settings.hpp"

#include <gtest/gtest.h>

#include <random>

#include "formats/nginx.hpp"

namespace dm::formats {
namespace {

/// "key=value" lines; each value's bytes in brackets where they differ from it.
std::string flat(Format format, std::string_view text) {
  const auto settings = read_settings(format, text);
  if (!settings) return "error: " + settings.error().message;
  std::string out;
  for (const Setting& setting : *settings) {
    const auto written = text.substr(setting.value_span.begin, setting.value_span.size());
    out += setting.key + "=" + setting.value;
    if (written != setting.value) out += " [" + std::string(written) + "]";
    out += "\n";
  }
  return out;
}

TEST(YamlSettings, JoinKeysAndCountItems) {
  EXPECT_EQ(flat(Format::yaml, "db:\n  host: \"pg\"\n  ports: [1, 2]\nlist:\n- a: x\n- b\n"),
            "db.host=pg [\"pg\"]\ndb.ports.0=1\ndb.ports.1=2\nlist.0.a=x\nlist.1=b\n");
}

TEST(YamlSettings, PlacesAreBytesAfterWideCharacters) {
  EXPECT_EQ(flat(Format::yaml, "\xEF\xBB\xBF# é—😀\nname: é\nhost: 'pg'\n"), "name=é\nhost=pg ['pg']\n");
}

TEST(YamlSettings, LeaveAliasesOutAndNameOddKeysByAMark) {
  EXPECT_EQ(flat(Format::yaml, "a: &x {k: v}\nb: *x\n? [p, q]\n: r\nc: last\n"), "a.k=v\n?=r\nc=last\n");
}

TEST(YamlSettings, ReadAllDocuments) { EXPECT_EQ(flat(Format::yaml, "a: 1\n---\nb: 2\n"), "a=1\nb=2\n"); }

TEST(YamlSettings, NameTheLineOfAnError) {
  EXPECT_TRUE(flat(Format::yaml, "a: 1\nb: [\n").starts_with("error: line ")) << flat(Format::yaml, "a: 1\nb: [\n");
}

TEST(JsonSettings, ReadNestedValues) {
  EXPECT_EQ(flat(Format::json, "{\n\t\"a\": {\"b\": [true, \"x\"]},\n\t\"c\": null\n}"), "a.b.0=true\na.b.1=x [\"x\"]\nc=null\n");
}

TEST(TomlSettings, ReadTablesArraysAndStrings) {
  EXPECT_EQ(flat(Format::toml,
                 "title = \"a \\\"b\\\"\" # c\n[server]\nport = 80\n'odd key'.x = 'raw\\'\n[[item]]\nn = 1\n[[item]]\nn = 2\n"
                 "[item.sub]\nk = [1,\n 2, # c\n]\nt = { a = 1, b.c = \"d\" }\nm = \"\"\"\nl1\nl2\"\"\"\n"),
            "title=a \"b\" [\"a \\\"b\\\"\"]\nserver.port=80\nserver.odd key.x=raw\\ ['raw\\']\nitem.0.n=1\nitem.1.n=2\n"
            "item.1.sub.k.0=1\nitem.1.sub.k.1=2\nitem.1.sub.t.a=1\nitem.1.sub.t.b.c=d [\"d\"]\n"
            "item.1.sub.m=l1\nl2 [\"\"\"\nl1\nl2\"\"\"]\n");
}

TEST(TomlSettings, RefuseAnOpenString) { EXPECT_EQ(flat(Format::toml, "a = 1\nb = \"x\n"), "error: line 2: a string without its closing quote"); }

TEST(IniSettings, ReadSectionsCommentsAndQuotes) {
  EXPECT_EQ(flat(Format::ini, "; c\ntop=1\n[database]\r\nHOST = db:5432 ; c\r\nPASSWD = `a#b;c`\nNAME: \"x y\"\nskip-networking\n[a \"b\"]\nk=\n"),
            "top=1\ndatabase.HOST=db:5432\ndatabase.PASSWD=`a#b;c`\ndatabase.NAME=x y [\"x y\"]\ndatabase.skip-networking=\na.b.k=\n");
}

TEST(XmlSettings, ReadElementsAttributesAndText) {
  EXPECT_EQ(flat(Format::xml, "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x \"y\">]><a id=\"1&amp;2\"><!-- < --><b>pg &#x41;</b><c/>\n<b><![CDATA[<]]></b></a>"),
            "a.@id=1&2 [\"1&amp;2\"]\na.b=pg A [pg &#x41;]\na.b=< [<![CDATA[<]]>]\n");
}

TEST(XmlSettings, RefuseTagsThatDoNotMatch) {
  EXPECT_EQ(flat(Format::xml, "<a>\n</b>"), "error: line 2: a closing tag that nothing opened");
  EXPECT_EQ(flat(Format::xml, "<a>"), "error: line 1: an element is not closed");
}

TEST(NginxSettings, ReadBlocksQuotesVariablesAndComments) {
  EXPECT_EQ(flat(Format::nginx,
                 "http { # c\n server {\n  listen 80;\n  location ~ \\.php$ { proxy_pass http://app:9000/${x}; return 200 \"a;b\"; internal; }\n }\n}\n"),
            "http.server.listen=80\nhttp.server.location=~\nhttp.server.location=\\.php$\nhttp.server.location.proxy_pass=http://app:9000/${x}\n"
            "http.server.location.return=200\nhttp.server.location.return=a;b [\"a;b\"]\nhttp.server.location.internal=\n");
}

TEST(NginxSettings, TakeLuaAsItIs) {
  EXPECT_EQ(flat(Format::nginx, "content_by_lua_block { if x then t = {\"}\"} end -- }\n }\nuser a;"),
            "content_by_lua_block= if x then t = {\"}\"} end -- }\n \nuser=a\n");
}

TEST(NginxSettings, NameWhatIsMissing) {
  EXPECT_EQ(flat(Format::nginx, "user a;\nhttp {"), "error: line 2: '}' is missing at the end");
  EXPECT_EQ(flat(Format::nginx, "user a\n"), "error: line 1: directive 'user' is not ended by ';'");
  EXPECT_EQ(flat(Format::nginx, "}"), "error: line 1: '}' that nothing opened");
}

TEST(EnvSettings, KeepValuesAsWritten) { EXPECT_EQ(flat(Format::env, "A=1\nB=${A}x\nC\n"), "A=1\nB=${A}x\n"); }

TEST(DetectFormat, GoesByNameThenByContent) {
  EXPECT_EQ(detect_format("/x/Caddyfile", ""), Format::caddyfile);
  EXPECT_EQ(detect_format("a/config.YML", ""), Format::yaml);
  EXPECT_EQ(detect_format("prod.env", ""), Format::env);
  EXPECT_EQ(detect_format("my.cnf", ""), Format::ini);
  EXPECT_EQ(detect_format("conf.d/default.conf", "server {\n listen 80;\n}\n"), Format::nginx);
  EXPECT_EQ(detect_format("app.conf", "[a]\nb=c\n"), Format::ini);
  EXPECT_EQ(detect_format("x", "{\"a\": 1}"), Format::json);
  EXPECT_EQ(detect_format("x", "<a/>"), Format::xml);
  EXPECT_EQ(detect_format("x", "hello"), Format::unknown);
  EXPECT_EQ(to_string(Format::caddyfile), "caddyfile");
}

TEST(Settings, RefuseDeepNestingInEveryFormat) {
  const auto many = [](std::string_view part, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += part;
    return out;
  };
  const std::size_t deep = 200'000;
  for (const auto& [format, text] : std::vector<std::pair<Format, std::string>>{{Format::yaml, many("[", deep)},
                                                                                {Format::json, many("{\"a\":", deep)},
                                                                                {Format::toml, "a = " + many("[", deep)},
                                                                                {Format::toml, "a = " + many("{a=", deep)},
                                                                                {Format::xml, many("<a>", deep)},
                                                                                {Format::nginx, many("a {", deep)},
                                                                                {Format::caddyfile, "s {\n" + many("a {\n", deep)}}) {
    const auto answer = flat(format, text);
    EXPECT_NE(answer.find("nested too deeply"), std::string::npos) << to_string(format) << ": " << answer.substr(0, 200);
  }
}

TEST(Settings, RefuseKeysThatMultiplyTheText) {
  std::string text = "{" + std::string(900, 'k') + ": {" + std::string(900, 'l') + ": [";
  for (int i = 0; i < 100'000; ++i) text += "1,";
  EXPECT_EQ(flat(Format::yaml, text + "]}}").find("error: line 1: keys and values are too large"), 0U);
}

TEST(Settings, NeverCrashAndKeepPlacesInsideOnRandomBytes) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same bytes on each run
  constexpr std::string_view kAlphabet = "ab.:=-{}[]()<>\"'`\\#;,$&!?@*/ \t\r\n\xC3\xA9";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto size = random() % 60; size > 0; --size)
      text += round % 4 == 0 ? static_cast<char>(random() & 0xFFU) : kAlphabet[random() % kAlphabet.size()];
    (void)detect_format("x.conf", text);
    for (const auto format : {Format::caddyfile, Format::nginx, Format::yaml, Format::toml, Format::ini, Format::xml, Format::env}) {
      const auto settings = read_settings(format, text);
      if (!settings) continue;
      for (const Setting& setting : *settings) {
        ASSERT_LE(setting.value_span.begin, setting.value_span.end) << to_string(format) << ": " << text;
        ASSERT_LE(setting.value_span.end, text.size()) << to_string(format) << ": " << text;
      }
    }
  }
}

}  // namespace
}  // namespace dm::formats

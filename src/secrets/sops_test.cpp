#include "secrets/sops.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "secrets/age.hpp"
#include "secrets/crypto.hpp"

namespace dm::secrets {
namespace {

using testing::HasSubstr;

constexpr std::string_view kNow = "2026-01-02T03:04:05Z";

Opened sealed_and_opened(std::string_view plain, Store store = Store::dotenv) {
  auto document = parse_plain(plain, store);
  EXPECT_TRUE(document) << document.error().describe();
  const auto key = random_secret(32);
  auto text = sealed_text(seal_values(std::move(*document), key, kNow, nullptr));
  EXPECT_TRUE(text);
  auto parsed = parse_sealed(*text);
  EXPECT_TRUE(parsed) << parsed.error().describe();
  auto opened = open_values(std::move(*parsed), SecretString(key.reveal()));
  EXPECT_TRUE(opened) << opened.error().describe();
  return std::move(*opened);
}
std::string text_of(const Opened& opened) {
  const auto text = plain_text(opened);
  return text ? std::string(text->reveal()) : "error: " + text.error().describe();
}
std::string file_of(const Opened& opened) { return *sealed_text(opened.document); }

Result<Opened> reopen(const std::string& file, const SecretString& key) {
  auto parsed = parse_sealed(file);
  if (!parsed) return fail(parsed.error());
  return open_values(std::move(*parsed), SecretString(key.reveal()));
}
std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

TEST(Sops, AValueIsSealedAsKnown) {
  EXPECT_EQ(seal_value(SecretString(std::string(32, '\1')), "A:", "hello", LeafType::str, std::string(32, '\2')),
            "ENC[AES256_GCM,data:yGPCHIg=,iv:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,tag:FR20QufzRRMMLfPhDNDEpA==,type:str]");
}

TEST(Sops, TextComesBackByteForByte) {
  for (const std::string text : {"A=1\n", "# note\nDB_PASSWORD=p@ss word\nEMPTY=\nPEM=l1\\nl2\nHOST_unencrypted=db.local\n", "A=\\\\n\\n\nB='x$y' \nC=\xff\xfe\"\nD==\n"})
    EXPECT_EQ(text_of(sealed_and_opened(text)), text);
}

TEST(Sops, AFileSealedAsAWholeIsToldFromJson) {
  EXPECT_EQ(sealed_store(file_of(sealed_and_opened("A=1\n", Store::binary))), Store::binary);
  EXPECT_EQ(sealed_store(file_of(sealed_and_opened("{\"data\": \"x\", \"b\": \"y\"}\n", Store::json))), Store::json);
  EXPECT_EQ(sealed_store("{\"data\": , \"sops\": {\"mac\": 1}}"), Store::json) << "damaged";
}

TEST(Sops, YamlJsonAndIniComeBackWithTheirComments) {
  const std::string yaml =
      "# head\ndb:\n    # about it\n    password: hunter2 # beside\n    port: 5432\n    on: true\n    none:\n    empty: \"\"\nlist:\n    # among elements\n    - a\n    - {b: \"c, d\", e: [1.5]}\n"
      "    # last in the list\ntext: |\n  two\n  lines\nopen_unencrypted: yes\n# the end\n---\nsecond: document\n";
  const auto opened = sealed_and_opened(yaml, Store::yaml);
  EXPECT_EQ(text_of(opened), yaml);
  for (const auto* word : {"hunter2", "about it", "beside", "among", "last in", "the end", "5432", "two"}) EXPECT_THAT(file_of(opened), testing::Not(HasSubstr(word)));
  EXPECT_THAT(file_of(opened), HasSubstr("open_unencrypted: yes"));
  const std::string json = "{\n  \"a\": {\"b\": [1, \"x\", true, null, \"\"]},\n  \"c\": 1.5\n}\n";
  EXPECT_EQ(text_of(sealed_and_opened(json, Store::json)), json);
  EXPECT_EQ(text_of(sealed_and_opened("{}\n", Store::json)), "{\n}\n");
  // A comment that does not stand where its list's dashes do.
  const std::string odd = "users:\n# - bob\n  - alice\n  - carol\n     # deeper\nlast: x\n";
  EXPECT_EQ(text_of(sealed_and_opened(odd, Store::yaml)), odd);
  const std::string tail = "[s]\nk = v\nquoted = \"/opt/my app\" --name \"x\"\n# last\n";
  EXPECT_FALSE(parse_plain(tail, Store::ini)) << "SOPS reads that value otherwise";
  const std::string end = "[s]\nk = v\n# last\n";
  EXPECT_EQ(text_of(sealed_and_opened(end, Store::ini)), end);
  for (const auto* number : {"p: 0123456789\n", "p: 8e12345\n", "p: 1234567890123456789012\n"}) EXPECT_FALSE(parse_plain(number, Store::yaml)) << number;
  for (const auto* number : {"{\"p\": 1e999}", "{\"p\": 12345678901234567890123}"}) EXPECT_FALSE(parse_plain(number, Store::json)) << number;
  const std::string ini = "; note\n; more\n[s]\nk = hunter2\n# about l\nl = \"a ; b\"\n\n[t]\nempty =\n";
  EXPECT_EQ(text_of(sealed_and_opened(ini, Store::ini)), ini);
}

TEST(Sops, CommentsOfABigFileAreFoundInOnePass) {
  std::string yaml;  // no item stands where the comments do: the search for their owner used to go back to the first item each time
  for (int i = 0; i < 200000; ++i) yaml += "k" + std::to_string(i) + ": v\n    # c\n";
  const auto plain = parse_plain(yaml, Store::yaml);
  ASSERT_TRUE(plain);
  ASSERT_EQ(plain->leaves.size(), 400000U);
  EXPECT_EQ(plain->leaves[399999].type, LeafType::comment);
  EXPECT_TRUE(plain->leaves[1].path.empty());
}

TEST(Sops, OfNestedFilesOnlyWhatChangedIsSealedAnew) {
  const auto before = sealed_and_opened("# one\na: 1\nb:\n    - x\n    # two\n    - y\n", Store::yaml);
  auto plain = *parse_plain("# one\na: 2\nb:\n    - x\n    # two\n    - y\n", Store::yaml);
  plain.sops = before.document.sops;
  const auto after = *sealed_text(seal_values(std::move(plain), before.data_key, "2026-01-03T00:00:00Z", &before));
  std::size_t changed = 0;
  std::istringstream old_lines(file_of(before)), new_lines(after);
  for (std::string a, b; std::getline(old_lines, a) && std::getline(new_lines, b);) changed += a != b ? 1 : 0;
  EXPECT_EQ(changed, 3U) << after;  // a, lastmodified, mac
}

TEST(Sops, WhatSopsWouldReadOtherwiseIsNotSealed) {
  for (const auto* bad : {"a: &x 1\n", "a: 1\nb: *x\n", "a: 1\na: 2\n", "5: x\n", "true: x\n", "<<: {a: 1}\n", "a: !!int '3'\n", "{a: 1}\n", "- a\n", "sops: {}\n", "a: 9999999999999999999\n", "a: 1\r\n"})
    EXPECT_FALSE(parse_plain(bad, Store::yaml)) << bad;
  for (const auto* bad : {"[]", "{\"a\": 1, \"a\": 2}", "{\"sops\": 1}", "{\"a\": 1} x", "{\"a\": tru}"}) EXPECT_FALSE(parse_plain(bad, Store::json)) << bad;
  for (const auto* bad : {"[s\nk = 1\n", "k\n", "[sops]\nx = 1\n", "k = \"open\n", "k = a ; b\n", "k = a\\\n", "k = 1\nk = 2\n"}) EXPECT_FALSE(parse_plain(bad, Store::ini)) << bad;
}

TEST(Sops, NamesStandOpenAndValuesDoNot) {
  const auto file = file_of(sealed_and_opened("# the note\nDB_PASSWORD=hunter2\nHOST_unencrypted=db.local\n"));
  EXPECT_THAT(file, HasSubstr("DB_PASSWORD=ENC[AES256_GCM,"));
  EXPECT_THAT(file, HasSubstr("HOST_unencrypted=db.local"));
  EXPECT_THAT(file, testing::Not(HasSubstr("hunter2")));
  EXPECT_THAT(file, testing::Not(HasSubstr("the note")));
}

TEST(Sops, EveryTamperingIsRefusedWithItsOwnWords) {
  const auto opened = sealed_and_opened("A=first\nB=second\nC_unencrypted=open\n");
  const auto file = file_of(opened);
  const auto line = [&](std::string_view name) {
    const auto at = file.find(name);
    return file.substr(at, file.find('\n', at) - at + 1);
  };
  const auto expect = [&](const std::string& changed, std::string_view words) {
    const auto result = reopen(changed, opened.data_key);
    ASSERT_FALSE(result) << words;
    EXPECT_EQ(result.error().exit, kCannotDecrypt);
    EXPECT_THAT(result.error().describe(), HasSubstr(words));
    EXPECT_THAT(result.error().describe(), testing::Not(HasSubstr("first")));
  };
  expect(replaced(file, "A=ENC", "X=ENC"), "'X' does not open");
  auto swapped = replaced(file, line("A=ENC"), "A" + line("B=ENC").substr(1));
  expect(swapped, "'A' does not open");
  expect(replaced(replaced(file, line("A=ENC"), ""), line("B=ENC"), line("B=ENC") + line("A=ENC")), "MAC does not fit");  // two lines changed places
  expect(replaced(file, line("A=ENC"), ""), "MAC does not fit");
  expect(replaced(file, line("A=ENC"), "A=\n"), "MAC does not fit");
  expect(replaced(file, "open", "shut"), "MAC does not fit");
  expect(replaced(file, "2026-01-02", "2026-01-03"), "MAC does not open");
  expect(replaced(file, line("sops_mac="), "sops_mac=\n"), "no MAC");
  expect(replaced(file, "sops_version=3.13.3", "sops_version=new"), "version");
  expect(replaced(file, line("A=ENC"), "A=plain\n"), "plain text where the file's rule wants it sealed");
  expect(file + "sops_key_groups__list_0__map_age=x\n", "Shamir");
  expect(file + "sops_encrypted_suffix=_x\nsops_unencrypted_suffix=_y\n", "more than one");
  EXPECT_FALSE(reopen(replaced(file, ",tag:", ",tag:AAAA"), opened.data_key));
  auto cut = file;
  cut.erase(cut.find(",tag:") + 5, 4);  // still base64, three bytes less
  expect(cut, "'A' does not open");
  const auto other = sealed_and_opened("A=first\nB=second\nC_unencrypted=open\n");
  const auto other_file = file_of(other);
  const auto at = other_file.find("sops_mac=");
  expect(replaced(file, line("sops_mac="), other_file.substr(at, other_file.find('\n', at) - at + 1)), "MAC does not open");
  EXPECT_FALSE(reopen(file, other.data_key));
}

TEST(Sops, UnchangedValuesKeepTheirSealedBytes) {
  const auto before = sealed_and_opened("A=first\nB=second\nC=third\n");
  auto changed = plain_document(before);
  changed.leaves[1].text = SecretString("new");
  const auto after = seal_values(std::move(changed), before.data_key, "2026-01-02T03:04:06Z", &before);
  EXPECT_EQ(after.leaves[0].text, before.document.leaves[0].text);
  EXPECT_FALSE(after.leaves[1].text == before.document.leaves[1].text);
  EXPECT_EQ(after.leaves[2].text, before.document.leaves[2].text);
  EXPECT_TRUE(reopen(*sealed_text(after), before.data_key));
}

TEST(Sops, RulesDecideByEveryKeyOfThePath) {
  const auto rule = [](Rule::Kind kind, std::string text) { return *make_rule(kind, std::move(text)); };
  EXPECT_TRUE(Rule{}.seals({"A"}));
  EXPECT_FALSE(Rule{}.seals({"a_unencrypted", "b"}));
  EXPECT_TRUE(rule(Rule::Kind::encrypted_regex, "PASS").seals({"DB_PASSWORD"}));
  EXPECT_FALSE(rule(Rule::Kind::encrypted_regex, "^(data|stringData)$").seals({"DB_PASSWORD"}));
  EXPECT_FALSE(rule(Rule::Kind::encrypted_suffix, "_S").seals({}));
  EXPECT_FALSE(make_rule(Rule::Kind::encrypted_regex, "("));
}

TEST(Sops, TheTimeOfTheMacHasNoFraction) {
  EXPECT_EQ(normal_time("2026-01-02T03:04:05.123+00:00"), "2026-01-02T03:04:05Z");
  EXPECT_EQ(normal_time("2026-01-02T03:04:05+02:00"), "2026-01-02T03:04:05+02:00");
  EXPECT_FALSE(normal_time("2026-01-02 03:04:05Z"));
  EXPECT_FALSE(normal_time("yesterday"));
}

TEST(Sops, OddDotenvLinesAreNamedByNumberWithoutTheirText) {
  const auto of = [](std::string_view text) {
    std::string out;
    for (const auto& trouble : dotenv_troubles(text)) {
      out += std::to_string(trouble.line) + " ";
      EXPECT_EQ(trouble.what.find("hunter2"), std::string::npos);
    }
    return out;
  };
  EXPECT_EQ(of("A=1\n\n# c\nB='x y'\nC=\"a\\nb\"\n"), "");
  EXPECT_EQ(of("export A=hunter2\nB=1\r\nC: hunter2\nD\n  # c\n E=1\nA=1\nA=2\nsops_x=1\n"), "1 2 3 4 5 6 8 9 ");
  EXPECT_EQ(of("KEY=\"-----BEGIN hunter2\nabc=\n-----END\"\n").substr(0, 1), "3");
  EXPECT_EQ(of("KEY=\"open\nB=hunter2\"\n"), "2 ");
  EXPECT_EQ(of("\xEF\xBB\xBF""A=1\n"), "1 ");
}

TEST(Sops, ABinaryFileIsOneValue) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(text_of(sealed_and_opened(bytes, Store::binary)), bytes);
}

}  // namespace
}  // namespace dm::secrets

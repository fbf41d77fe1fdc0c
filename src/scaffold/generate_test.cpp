#include "scaffold/generate.hpp"

#include <argon2.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "scaffold/embedded.hpp"

namespace dm::scaffold {
namespace {

std::string make(Secret::Generator generator, std::size_t size = 32, std::string prefix = "") {
  Secret secret;
  secret.generator = generator;
  secret.size = size;
  secret.prefix = std::move(prefix);
  const auto value = generate(secret).value();
  return std::string(value.reveal());
}

TEST(Generate, PasswordsAreLettersAndDigitsAndNeverTheSame) {
  const auto one = make(Secret::Generator::password, 40), two = make(Secret::Generator::password, 40);
  EXPECT_EQ(one.size(), 40U);
  EXPECT_NE(one, two);
  EXPECT_TRUE(std::ranges::all_of(one, [](unsigned char c) { return std::isalnum(c) != 0; }));
}

TEST(Generate, SizesAndPrefixesAreAsDeclared) {
  EXPECT_EQ(make(Secret::Generator::hex, 64).size(), 128U);
  const auto key = make(Secret::Generator::base64, 32, "base64:");
  EXPECT_TRUE(key.starts_with("base64:"));
  EXPECT_EQ(key.size(), 7U + 44U);
  EXPECT_EQ(make(Secret::Generator::uuid).size(), 36U);
  EXPECT_EQ(make(Secret::Generator::uuid)[14], '4');
  EXPECT_EQ(make(Secret::Generator::given), "");
}

TEST(Generate, PrivateKeysAreWholePemBlocks) {
  for (const auto& pem : {make(Secret::Generator::rsa, 2048), make(Secret::Generator::ed25519)}) {
    EXPECT_TRUE(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    EXPECT_TRUE(pem.ends_with("-----END PRIVATE KEY-----"));
  }
}

Secret derived(Secret::Generator generator) {
  Secret secret;
  secret.name = "x";
  secret.of = "y";
  secret.generator = generator;
  return secret;
}

TEST(Generate, AnArgon2TokenVerifiesItsPassword) {
  const auto token = derive(derived(Secret::Generator::argon2), secrets::SecretString("correct horse")).value();
  EXPECT_TRUE(token.reveal().starts_with("$argon2id$v=19$m=65540,t=3,p=4$"));
  EXPECT_EQ(argon2id_verify(std::string(token.reveal()).c_str(), "correct horse", 13), ARGON2_OK);
  EXPECT_NE(argon2id_verify(std::string(token.reveal()).c_str(), "correct house", 13), ARGON2_OK);
}

TEST(Generate, AnOidcHashHasTheFormThatAutheliaReads) {
  const auto value = derive(derived(Secret::Generator::oidc_hash), secrets::SecretString("s")).value();
  const std::string hash(value.reveal());
  EXPECT_TRUE(hash.starts_with("$pbkdf2-sha512$310000$"));
  EXPECT_EQ(hash.find_first_of("+="), std::string::npos);
  EXPECT_EQ(hash.size(), 22U + 22U + 1U + 86U);
}

TEST(Generate, AVapidPairBelongsTogether) {
  const auto priv = make(Secret::Generator::vapid);
  EXPECT_EQ(priv.size(), 44U);
  const auto one = derive(derived(Secret::Generator::vapid_public), secrets::SecretString(priv)).value();
  const auto two = derive(derived(Secret::Generator::vapid_public), secrets::SecretString(priv)).value();
  EXPECT_EQ(one, two);
  EXPECT_TRUE(one.reveal().starts_with("B"));  // 0x04: an uncompressed point
  EXPECT_EQ(one.size(), 88U);
  EXPECT_FALSE(derive(derived(Secret::Generator::vapid_public), secrets::SecretString("short")));
}

TEST(Generate, EverySecretOfTheStackCanBeMade) {
  const auto files = embedded_files();
  const auto file = std::ranges::find(files, "variables.yaml", &EmbeddedFile::name);
  ASSERT_NE(file, files.end());
  const auto schema = parse_schema(file->content);
  ASSERT_TRUE(schema) << schema.error().describe();
  for (const auto& secret : schema->secrets) {
    EXPECT_FALSE(secret.used_by.empty()) << secret.name << " is used by nobody";
    if (secret.of.empty() && secret.generator != Secret::Generator::rsa) {
      EXPECT_TRUE(generate(secret)) << secret.name;
    }
  }
  for (const auto& setting : schema->settings)
    if (setting.fallback.find('%') == std::string::npos) {
      EXPECT_EQ(trouble_with(setting, setting.fallback), "") << setting.name;
    }
}

TEST(Schema, ReportsWhatIsWrongWithTheLine) {
  EXPECT_NE(parse_schema("secrets:\n  a: {generator: passwort}\n").error().message.find("variables.yaml:2: 'passwort' is no generator"), std::string::npos);
  EXPECT_FALSE(parse_schema("secrets:\n  a: {generator: argon2}\n"));
  EXPECT_FALSE(parse_schema("secrets:\n  a: {generator: argon2, of: b}\n"));
  EXPECT_FALSE(parse_schema("settings:\n  a: {type: text}\nsecrets:\n  a: {generator: hex}\n"));
  EXPECT_FALSE(parse_schema("secrets:\n  a: {generator: password, length: 4}\n"));
}

TEST(Schema, KnowsADomainAndAnAddress) {
  Setting domain{"D", Setting::Type::domain, "", ""}, mail{"M", Setting::Type::mail, "", ""};
  EXPECT_EQ(trouble_with(domain, "example.org"), "");
  for (const auto* wrong : {"example", "Example.org", "-a.org", "a..org", "a b.org", "https://a.org"}) EXPECT_NE(trouble_with(domain, wrong), "") << wrong;
  EXPECT_EQ(trouble_with(mail, "a.b+c@example.org"), "");
  for (const auto* wrong : {"a", "@b.org", "a@b", "a\"@b.org", "a b@c.org"}) EXPECT_NE(trouble_with(mail, wrong), "") << wrong;
}

}  // namespace
}  // namespace dm::scaffold

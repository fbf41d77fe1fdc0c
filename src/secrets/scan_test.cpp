#include "secrets/scan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "secrets/scan_tree.hpp"

namespace dm::secrets {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// "rule line name" of each.
std::vector<std::string> found(std::string_view path, std::string_view text) {
  std::vector<std::string> out;
  for (const auto& leak : scan_file(path, text)) out.push_back(std::string(about(leak.rule).id) + " " + std::to_string(leak.line) + " " + leak.name);
  return out;
}

TEST(Scan, NamesAreJudgedByTheirEnd) {
  for (const auto* name : {"DB_PASSWORD", "dbPassword", "api_key", "AWS_SECRET_ACCESS_KEY", "SECRET_KEY_BASE", "MYSQL_ROOT_PASSWORD", "smtp-pass", "JWT_SECRET", "authToken", "GF_SECURITY_ADMIN_PASSWORD", "POSTGRES_PASSWORD2"})
    EXPECT_TRUE(secret_variable(name)) << name;
  for (const auto* name : {"DB_PASSWORD_FILE", "TOKEN_ENDPOINT", "API_TOKEN_TTL", "PUBLIC_KEY", "proxy_pass", "SECRET_NAME", "PASSWORD_POLICY", "key", "existingSecret", "bypass", "PASSWORD_MIN_LENGTH", "compass", "KEYCLOAK_HOST", "GPT_MAX_TOKENS"})
    EXPECT_FALSE(secret_variable(name)) << name;
}

TEST(Scan, ComposeIsReadAsATree) {
  EXPECT_THAT(found("compose.yaml", R"(services:
  db:
    image: postgres
    environment:
      POSTGRES_PASSWORD: planka_secure_pass_2024
      POSTGRES_USER: app
      OTHER_PASSWORD: ${OTHER_PASSWORD:?}
      THIRD_PASSWORD: ${THIRD_PASSWORD:-hunter2}
      FOURTH_PASSWORD_FILE: /run/secrets/fourth
    secrets:
      - db_password
  cache:
    command: valkey-server --requirepass s3cr3tpass
    environment:
      - REDIS_PASSWORD=changeme
      - TOKEN_ENDPOINT=https://x.example/token
    healthcheck:
      test: ["CMD-SHELL", "redis-cli -a s3cr3tpass ping"]
  app:
    environment:
      DATABASE_URL: postgres://app:Sup3rS@cret@db/app
      OTHER_URL: postgres://app:${DB_PASSWORD}@db/app
secrets:
  db_password:
    file: ./secrets/db_password
)"),
              ElementsAre("weak-secret 5 POSTGRES_PASSWORD", "default-secret 8 THIRD_PASSWORD", "password-in-command 13 --requirepass", "weak-secret 15 REDIS_PASSWORD", "password-in-command 18 -a",
                          "password-in-url 21 URL"));
}

TEST(Scan, EnvFilesAndTheirLookAlikes) {
  EXPECT_THAT(found(".env", "DB_PASSWORD=aG7kQ2mZ\nHOST=db\nAPI_TOKEN_TTL=3600\nEMPTY_SECRET=\nPASS_SECRET=<your secret>\nX_TOKEN=true\nHASH_PASSWORD='$2y$10$abcdefghijklmnopqrstuv'\nREF_SECRET=$OTHER\n"),
              ElementsAre("secret-literal 1 DB_PASSWORD", "password-hash 7 HASH_PASSWORD"));
}

TEST(Scan, CodeNeedsQuotes) {
  EXPECT_THAT(found("app.py", "password = get_password()\ntoken = settings.TOKEN\nDB_PASSWORD = \"aG7kQ2mZ9\"\n"), ElementsAre("secret-literal 3 DB_PASSWORD"));
}

TEST(Scan, ADollarSignIsAReferenceWhereANameFollows) {
  EXPECT_EQ(value_kind("$${REDIS_PASSWORD}"), ValueKind::reference);
  EXPECT_EQ(value_kind("$$(cat /run/secrets/x)"), ValueKind::reference);
  EXPECT_EQ(value_kind("1234#$$ecret5"), ValueKind::literal);
  EXPECT_EQ(value_kind("$other"), ValueKind::reference);
}

TEST(Scan, FlagsOfAnyProgramAndWhatWasCommentedOut) {
  EXPECT_THAT(found("compose.yaml", "services:\n  a:\n    command: bench new-site --admin-password=admin --db-root-password=hunter2 --password-file=/x $$(cat /y)\n    healthcheck:\n      test: redis-cli -a $${PW} ping\n"
                                    "    # VPN_PASSWORD=Cy7jRPIZGVK7dbAF5v\n    # OLD_PASSWORD=changeme\n"),
              ElementsAre("password-in-command 3 --admin-password", "password-in-command 3 --db-root-password", "secret-literal 6 VPN_PASSWORD"));
}

TEST(Scan, TokensAreKnownByTheirForm) {
  EXPECT_THAT(found("notes.md", std::string("see ghp_") + std::string(18, 'a') + std::string(18, '7') + " and sk-1234\n-----BEGIN OPENSSH PRIVATE KEY-----\n-----BEGIN PUBLIC KEY-----\n"),
              ElementsAre("known-token 1 GitHub token", "known-token 2 private key"));
}

TEST(Scan, SealedFilesAndAllowedLinesHaveNothing) {
  EXPECT_THAT(found("a.enc.env", "A_PASSWORD=ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\nsops_mac=x\nsops_version=3.9.0\n"), IsEmpty());
  EXPECT_THAT(found("compose.yaml", "services:\n  a:\n    environment:\n      DB_PASSWORD: aG7kQ2mZ9  # datamancy:allow-secret a test\n"), IsEmpty());
}

TEST(Scan, ASealedValueIsFoundWhereverItStands) {
  SealedValues sealed;
  sealed.emplace_back("DB_PASSWORD", SecretString("aG7kQ2mZ9x"));
  const auto leaks = scan_for("x.conf", "a\nuser:aG7kQ2mZ9x:1\nXaG7kQ2mZ9xX\n", sealed);
  ASSERT_EQ(leaks.size(), 1U);
  EXPECT_EQ(leaks[0].line, 2U);
}

TEST(Scan, FourWordsAreAPassphraseWhereEveryLineIsAVariable) {
  EXPECT_THAT(found(".env", "DB_PASSWORD=correct horse battery staple\n"), testing::SizeIs(1));
  EXPECT_THAT(found("notes.txt", "DB_PASSWORD: ask whoever set it up\n"), testing::IsEmpty());
  std::vector<std::pair<std::string, SecretString>> sealed;
  sealed.emplace_back("TZ", SecretString("Europe/Vienna"));
  sealed.emplace_back("DB_PASSWORD", SecretString("correct horse battery staple"));
  sealed.emplace_back("SMTP_LOGIN", SecretString("x8Kd02mLq77Zt"));
  EXPECT_THAT(scan_for("old.txt", "TZ Europe/Vienna\ncorrect horse battery staple\nx8Kd02mLq77Zt\n", sealed), testing::SizeIs(2));
}

/// Whether a sealed value under a name that says nothing is looked for.
bool looked_for(std::string_view value) {
  SealedValues sealed;
  sealed.emplace_back("UNSEAL_CODE", SecretString(value));
  return !scan_for("old.txt", "at " + std::string(value) + " end\n", sealed).empty();
}

TEST(Scan, WhatWasSealedIsLookedForWhateverItsName) {
  for (const std::string_view secret : {"zebra-lantern-quiet-orbit", "correct horse battery staple", "x8Kd02mLq77Zt", "x8Kd02mL", "xKfQpLmZ", "amqp://u:aG7kQ2mZ@mq/", "lantern2orbit", "aG7kQ2mZ@9.x"})
    EXPECT_TRUE(looked_for(secret)) << secret;
}

TEST(Scan, WhatIsNoSecretAnywhereIsNotLookedForWhenItWasSealedWithTheRest) {
  for (const std::string_view plain : {"Europe/Vienna", "America/Argentina/Ushuaia", "en_US.UTF-8", "db.example.org", "db.example.org:5432", "shop@example.org", "production", "postgres", "shop-production", "10.20.30.40",
                                       "10.0.0.0/16", "2026-01-31", "1234567890", "Datamancy Shop", "My Little Shop", "ghcr.io/example/app:1.20.3", "nginx:1.27-alpine", "postgres17"})
    EXPECT_FALSE(looked_for(plain)) << plain;
}

TEST(Scan, NothingShownOrKeptIsTheSecret) {
  const auto leaks = scan_file(".env", "DB_PASSWORD=aG7kQ2mZ9xLongEnough\n");
  ASSERT_EQ(leaks.size(), 1U);
  EXPECT_EQ(leaks[0].shown(), "aG... (20 characters)");
  const auto baseline = write_baseline(leaks);
  EXPECT_EQ(baseline.find("aG7"), std::string::npos);
  const auto read = read_baseline(baseline);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->knows(leaks[0]));
  const auto changed = scan_file(".env", "DB_PASSWORD=another0value9\n");
  EXPECT_FALSE(read->knows(changed.at(0)));
}

}  // namespace
}  // namespace dm::secrets

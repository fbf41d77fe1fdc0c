#include "sensitive/sensitive.hpp"

#include <gtest/gtest.h>

namespace dm::sensitive {
namespace {

TEST(SecretNames, AreToldFromTheirNeighbours) {
  for (const auto* name : {"POSTGRES_PASSWORD", "admin_token", "API_KEY", "JWT_SECRET", "DB_PASS"}) EXPECT_TRUE(secret_name(name)) << name;
  for (const auto* name : {"POSTGRES_PASSWORD_FILE", "OAUTH_TOKEN_URL", "VAPID_PUBLIC_KEY", "MYSQL_RANDOM_ROOT_PASSWORD", "MYSQL_ALLOW_EMPTY_PASSWORD", "AWS_ACCESS_KEY_ID", "ETCD_INITIAL_CLUSTER_TOKEN", "TOKEN_TTL", "COMPASS", "TZ"})
    EXPECT_FALSE(secret_name(name)) << name;
}

TEST(Hashes, AreNoSecrets) {
  EXPECT_TRUE(looks_hashed("$argon2id$v=19$m=65536"));
  EXPECT_FALSE(looks_hashed("letmein"));
}

TEST(Lines, AreShownWithoutTheirSecrets) {
  EXPECT_EQ(mask_line("  DB_PASSWORD: sunflower-42"), "  DB_PASSWORD: ************");
  EXPECT_EQ(mask_line("{API_KEY: \"abc\", TZ: UTC}"), "{API_KEY: \"***\", TZ: UTC}");
  EXPECT_EQ(mask_line("- DB_PASSWORD=${DB_PASSWORD:?}"), "- DB_PASSWORD=${DB_PASSWORD:?}");
  EXPECT_EQ(mask_line("url: postgres://app:pw@db/x"), "url: postgres://app:**@db/x");
}

}  // namespace
}  // namespace dm::sensitive

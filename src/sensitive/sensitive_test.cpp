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

TEST(Lines, HideTheWholeValueAndNothingElse) {
  struct Case {
    const char *line, *shown;
  };
  for (const Case& c : {
           // Commas, blanks, brackets and quotes belong to the value.
           Case{"- DB_PASSWORD=sun,flower", "- DB_PASSWORD=**********"},
           Case{"DB_PASSWORD: sun flower  # of the shop", "DB_PASSWORD: **********  # of the shop"},
           Case{"DB_PASSWORD: \"sun,f]o}er\"", "DB_PASSWORD: \"**********\""},
           Case{"DB_PASSWORD: 'it''s'", "DB_PASSWORD: '*****'"},
           Case{"- \"DB_PASSWORD=sun, flower\"", "- \"DB_PASSWORD=***********\""},
           Case{"environment: {DB_PASSWORD: sun, TZ: UTC}", "environment: {DB_PASSWORD: ***, TZ: UTC}"},
           Case{"\"DB_PASSWORD\": \"sun\", \"TZ\": \"UTC\"", "\"DB_PASSWORD\": \"***\", \"TZ\": \"UTC\""},
           Case{"DB_PASSWORD: \"sun", "DB_PASSWORD: \"***"},
           // Variables stay; a default that is written out does not.
           Case{"DB_PASSWORD: ${DB_PASSWORD:-sunflower}", "DB_PASSWORD: ${DB_PASSWORD:-*********}"},
           Case{"DB_PASSWORD: ${DB_PASSWORD:?set it}", "DB_PASSWORD: ${DB_PASSWORD:?set it}"},
           Case{"DB_PASSWORD: ${A:-${B:-sun}}", "DB_PASSWORD: ${A:-${B:-***}}"},
           Case{"DB_PASSWORD: pre$A-post", "DB_PASSWORD: ***$A*****"},
           Case{"DB_PASSWORD: $(cat /run/secrets/db)", "DB_PASSWORD: $(cat /run/secrets/db)"},
           Case{"ADMIN_PASSWORD: $$argon2id$$v=19$$abc", "ADMIN_PASSWORD: $$argon2id$$v=19$$abc"},
           Case{"ADMIN_PASSWORD: $$ecret", "ADMIN_PASSWORD: *******"},
           // Command lines.
           Case{"command: valkey-server --requirepass sunflower --port 1", "command: valkey-server --requirepass ********* --port 1"},
           Case{"test: [\"CMD\", \"valkey-cli\", \"-a\", \"sunflower\", \"ping\"]", "test: [\"CMD\", \"valkey-cli\", \"-a\", \"*********\", \"ping\"]"},
           Case{"test: mysqladmin ping -uroot -psunflower", "test: mysqladmin ping -uroot -p*********"},
           Case{"test: mysqladmin ping -p'sun flower' -h db", "test: mysqladmin ping -p'**********' -h db"},
           Case{"command: [\"--password\", \"sun, flower\", \"--admin-token=moon\"]", "command: [\"--password\", \"***********\", \"--admin-token=****\"]"},
           Case{"command: [--password, sun, --port, 80]", "command: [--password, ***, --port, 80]"},
           Case{"command: curl -u admin:sunflower http://app/", "command: curl -u admin:********* http://app/"},
           Case{"command: app --no-password --password-file /run/secrets/db --token $TOKEN", "command: app --no-password --password-file /run/secrets/db --token $TOKEN"},
           Case{"command: restic --pass /run/secrets/db -a yes", "command: restic --pass /run/secrets/db -a yes"},
           Case{"command: tar -a x -psomething", "command: tar -a x -psomething"},
           // Settings, and addresses with a '/' in the password.
           Case{"requirepass sunflower", "requirepass *********"},
           Case{"REDIS: redis://:sun/flower@cache:6379/0", "REDIS: redis://:**********@cache:6379/0"},
           Case{"URL: http://app:8080/a@b", "URL: http://app:8080/a@b"},
           Case{"DSN: app:sunflower@tcp(db:3306)/app", "DSN: app:*********@tcp(db:3306)/app"},
       })
    EXPECT_EQ(mask_line(c.line), c.shown);
  const std::string wide = "{" + std::string(200'000, '[') + "DB_PASSWORD: x";
  EXPECT_EQ(mask_line(wide).size(), wide.size());
}

}  // namespace
}  // namespace dm::sensitive

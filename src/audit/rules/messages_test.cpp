/// What rules say where they find something either way: the marks of their examples show the lines only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/rules/rules.hpp"
#include "compose/load.hpp"

namespace dm::audit {
namespace {

std::string said(std::string_view id, std::string_view service, std::string_view script = {}) {
  sources::MemoryFiles files;
  files.add("/project/compose.yaml", std::string("services:\n  one: ").append(service).append("\n"));
  if (!script.empty()) files.add("/project/init.sh", std::string(script), 0755);
  compose::Options options;
  options.working_directory = "/project";
  options.lenient = true;
  auto loaded = compose::load(options, files);
  const product::Catalogue products;
  const auto wiring = wiring::wire(*loaded.project, products);
  std::vector<Finding> findings;
  for (const Rule* rule : all_rules()) {
    if (rule->id != id) continue;
    Report report(*rule, findings);
    rule->check({*loaded.project, wiring, loaded.diagnostics, files, *loaded.project}, report);
  }
  std::string out;
  for (const auto& finding : findings) out += finding.message + "\n";
  return out;
}

TEST(InitScriptInjection, AQuotedHeredocIsThePasswordOnlyWhereTheClientReadsIt) {
  constexpr std::string_view kSql = "  CREATE ROLE app PASSWORD '$APP_PASSWORD';\n";
  const auto of = [&](std::string_view first, std::string_view last) { return said("DM0530", "{image: 'postgres:17', volumes: ['./init.sh:/docker-entrypoint-initdb.d/init.sh:ro']}", std::string("#!/bin/sh\n").append(first).append(kSql).append(last)); };
  for (const std::string_view first : {"psql -U postgres <<'EOF'\n", "gosu postgres psql -d app <<-\"EOF\"\n", "PGPASSWORD=$P /usr/bin/psql \\\n  -d app <<'EOF'\n"})
    EXPECT_THAT(of(first, "EOF\n"), testing::HasSubstr("as it stands")) << first;
  for (const std::string_view first : {"gosu postgres bash <<'EOF'\npsql <<SQL\n", "cat > t.sql <<'EOF'\n", "envsubst <<'EOF' | psql\n", "bash -c 'cat' <<'EOF' | psql\n", "psql <<EOF\n"})
    EXPECT_THAT(of(first, "EOF\nenvsubst < t.sql | psql\n"), testing::AllOf(testing::HasSubstr("into SQL"), testing::Not(testing::HasSubstr("as it stands")))) << first;
}

TEST(ImageLatestTag, EachWordThatFollowsTheNewestCounts) {
  for (const std::string_view image : {"example/app", "example/app:latest", "wordpress:fpm-alpine", "node:lts-slim", "example/app:main"})
    EXPECT_THAT(said("DM0701", std::string("{image: '").append(image).append("'}")), testing::HasSubstr("is today")) << image;
}

TEST(DatastorePortPublic, SaysThatNobodyIsAskedOnlyWhereItCanBeKnown) {
  const auto of = [](std::string_view service) { return said("DM0901", service); };
  for (const std::string_view open : {"{image: 'mongo:8', ports: ['27017:27017']}", "{image: 'valkey/valkey:8', ports: ['6379:6379'], command: valkey-server --appendonly yes}"})
    EXPECT_THAT(of(open), testing::HasSubstr("asks for no password")) << open;
  EXPECT_THAT(of("{image: 'apache/kafka:3.9.0', ports: ['9092:9092']}"), testing::HasSubstr("asks nobody"));
  for (const std::string_view unsure : {"{image: 'mongo:8', ports: ['27017:27017'], env_file: not-there.env}", "{image: 'mongo:8', ports: ['27017:27017'], command: [bash, /scripts/run.sh]}",
                                        "{image: 'valkey/valkey:8', ports: ['6379:6379'], environment: {VALKEY_EXTRA_FLAGS: --requirepass x}}",
                                        "{image: 'apache/kafka:3.9.0', ports: ['9092:9092'], environment: {KAFKA_OPTS: -Djava.security.auth.login.config=/jaas.conf}}"})
    EXPECT_THAT(of(unsure), testing::AllOf(testing::HasSubstr("open on every interface"), testing::Not(testing::HasSubstr("asks")))) << unsure;
}

}  // namespace
}  // namespace dm::audit

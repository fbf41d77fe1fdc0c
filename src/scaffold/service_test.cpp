#include "scaffold/service.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "scaffold/budget.hpp"
#include "scaffold/recipe.hpp"

namespace dm::scaffold {
namespace {

TEST(Service, AnIncludeIsAddedWhereItBelongs) {
  EXPECT_EQ(with_include("services: {}\n", "x/compose.yaml").value(), "include:\n  - x/compose.yaml\n\nservices: {}\n");
  EXPECT_EQ(with_include("# mine\nname: a\n\nservices: {}\n", "x/c.yaml").value(), "# mine\nname: a\n\ninclude:\n  - x/c.yaml\n\nservices: {}\n");
  EXPECT_EQ(with_include("include:\n    - a.yaml\n    # why\n    - path: b.yaml\n      env_file: e\n\nservices: {}\n", "x").value(),
            "include:\n    - a.yaml\n    # why\n    - path: b.yaml\n      env_file: e\n    - x\n\nservices: {}\n");
  EXPECT_EQ(with_include("services: {}\ninclude:\n- a.yaml", "x").value(), "services: {}\ninclude:\n- a.yaml\n- x\n");
  EXPECT_FALSE(with_include("include: [a.yaml]\n", "x"));
}

TEST(Service, ARecipeBringsDatabaseBackupRouteAndSecrets) {
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "services:\n  edge: {image: caddy:2}\n");
  files.add("/p/Caddyfile", "example.org {\n}\n");
  const auto plan = plan_service("planka", files, "/p", {"compose.yaml", "web", "Caddyfile", {"edge"}}, "example.org", "/run/datamancy/p");
  ASSERT_TRUE(plan) << plan.error().describe();
  const auto text = [&](std::string_view path) {
    const auto found = std::ranges::find(plan->files, path, &NewFile::path);
    return found == plan->files.end() ? std::string() : found->content;
  };
  EXPECT_NE(text("planka/compose.yaml").find("networks: [web, planka]"), std::string::npos);
  EXPECT_NE(text("planka/compose.yaml").find("planka-backup:"), std::string::npos);
  EXPECT_NE(text("compose.yaml").find("- planka/compose.yaml"), std::string::npos);
  EXPECT_NE(text("Caddyfile").find("planka.example.org {"), std::string::npos);
  EXPECT_EQ(text(".env"), "DOMAIN=example.org\nDATAMANCY_RUN=/run/datamancy/p\n");
  EXPECT_NE(text("variables.yaml").find("planka_db_password"), std::string::npos);
  EXPECT_FALSE(text("service-backup/Dockerfile").empty());
  EXPECT_TRUE(text("service-backup/kopia-start").empty());
  EXPECT_EQ(plan->secrets.secrets.size(), 4U);
}

TEST(Service, AShortRecipeTakesTheServiceFromTheStacksFragment) {
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "services: {}\n");
  const auto plan = plan_service("grafana", files, "/p", {"compose.yaml", "web", "", {}}, "example.org", "/r");
  ASSERT_TRUE(plan) << plan.error().describe();
  const auto& compose = std::ranges::find(plan->files, "grafana/compose.yaml", &NewFile::path)->content;
  const auto stack = embedded("grafana/compose.yaml");
  const auto image = stack.substr(stack.find("    image:"), stack.find('\n', stack.find("    image:")) - stack.find("    image:"));
  EXPECT_NE(compose.find(image), std::string::npos);
  EXPECT_NE(compose.find("GF_DATABASE_HOST: grafana-db:5432"), std::string::npos);
  EXPECT_NE(compose.find("- grafana_data:/data/grafana_data:ro"), std::string::npos);
  EXPECT_EQ(compose.find("OAUTH"), std::string::npos);
  EXPECT_EQ(compose.find("pgbouncer"), std::string::npos);
  const auto* key = plan->secrets.secret("grafana_secret_key");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->rotate, Secret::Rotate::never);  // as the stack says of it
  EXPECT_EQ(plan->secrets.secret("grafana_db_password")->used_by, (std::vector<std::string>{"grafana", "grafana-backup", "grafana-db"}));
  EXPECT_EQ(plan->secrets.secret("grafana_oidc_secret"), nullptr);
}

TEST(Service, WhatBelongsToAProductComesAlong) {
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "services: {}\n");
  const auto plan = plan_service("mastodon", files, "/p", {"compose.yaml", "web", "", {}}, "example.org", "/r");
  ASSERT_TRUE(plan) << plan.error().describe();
  const auto text = [&](std::string_view path) {
    const auto found = std::ranges::find(plan->files, path, &NewFile::path);
    return found == plan->files.end() ? std::string() : found->content;
  };
  const auto compose = text("mastodon/compose.yaml");
  for (const auto* service : {"mastodon-web", "mastodon-init", "mastodon-streaming", "mastodon-sidekiq", "redis-mastodon", "mastodon-db", "mastodon-backup"})
    EXPECT_NE(compose.find(fmt::format("\n  {}:\n", service)), std::string::npos) << service;
  EXPECT_NE(compose.find("x-mastodon: &mastodon"), std::string::npos);
  EXPECT_NE(compose.find("      redis-mastodon: {condition: service_healthy}"), std::string::npos);  // a start waits for what came along
  EXPECT_EQ(compose.find("OIDC"), std::string::npos);
  EXPECT_FALSE(text("mastodon/with-secrets").empty());
  EXPECT_FALSE(text("mastodon/redis-mastodon.acl.tmpl").empty());
  EXPECT_NE(text(".env").find("SMTP_HOST=mail.example.org\n"), std::string::npos);
  EXPECT_NE(plan->route.find("mastodon-streaming:4000"), std::string::npos);  // the folder's own file before what the recipe makes
  EXPECT_EQ(plan->secrets.secret("mastodon_vapid_public_key")->of, "mastodon_vapid_private_key");
  EXPECT_FALSE(plan->notes.empty());
}

TEST(Service, AProxyToTheEngineIsAloneWithItsClient) {
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "services: {}\n");
  const auto plan = plan_service("portainer", files, "/p", {"compose.yaml", "web", "", {}}, "example.org", "/r");
  ASSERT_TRUE(plan) << plan.error().describe();
  const auto& compose = std::ranges::find(plan->files, "portainer/compose.yaml", &NewFile::path)->content;
  EXPECT_NE(compose.find("networks: [portainer-engine]\n"), std::string::npos);
  EXPECT_NE(compose.find("networks: [web, portainer, portainer-engine]\n"), std::string::npos);
}

TEST(Service, APageWithoutSignInIsNotPutOnTheEdge) {
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "services: {}\n");
  files.add("/p/Caddyfile", "example.org {\n}\n");
  const auto plan = plan_service("homepage", files, "/p", {"compose.yaml", "web", "Caddyfile", {}}, "example.org", "/r");
  ASSERT_TRUE(plan) << plan.error().describe();
  EXPECT_TRUE(plan->guarded);
  EXPECT_FALSE(plan->routed);
  EXPECT_TRUE(std::ranges::none_of(plan->files, [](const NewFile& file) { return file.path == "Caddyfile"; }));
}

TEST(Service, AnErrorInARecipeHasItsLine) {
  EXPECT_EQ(expand_recipe("x", "# X.\nfrom grafana/compose.yaml grafana\nnonsense\n").error().message, "services/x.recipe:3: 'nonsense' is no word of a recipe");
  EXPECT_FALSE(expand_recipe("x", "from grafana/compose.yaml nothing\ndatabase none\n"));
  EXPECT_FALSE(expand_recipe("x", "from grafana/compose.yaml grafana\ndatabase none\ndrop NOT_THERE\n"));
}

TEST(Service, WhatIsThereAlreadyIsLeftAlone) {
  sources::MemoryFiles files;
  files.add("/p/compose.yaml", "services: {}\n");
  EXPECT_EQ(plan_service("planka", files, "/p", {"compose.yaml", "", "", {"planka-db"}}, "", "/r").error().code, Errc::conflict);
  EXPECT_EQ(plan_service("nonsense", files, "/p", {"compose.yaml", "", "", {}}, "", "/r").error().code, Errc::not_found);
  files.add("/p/planka/notes", "mine");
  EXPECT_EQ(plan_service("planka", files, "/p", {"compose.yaml", "", "", {}}, "", "/r").error().code, Errc::conflict);
}

TEST(Init, WritesTheAnswersAndNoRecipe) {
  const auto files = stack_files(stack_schema(), {"example.org", "me@example.org", {"databases"}, "", "acme"});
  ASSERT_TRUE(files) << files.error().describe();
  const auto env = std::ranges::find(*files, ".env", &NewFile::path)->content;
  EXPECT_NE(env.find("\nDOMAIN=example.org\n"), std::string::npos);
  EXPECT_NE(env.find("\nSMTP_USER=noreply@example.org\n"), std::string::npos);
  EXPECT_NE(env.find("\nCOMPOSE_PROFILES=databases\n"), std::string::npos);
  EXPECT_TRUE(std::ranges::none_of(*files, [](const NewFile& file) { return file.path.starts_with("services/"); }));
  EXPECT_EQ(std::ranges::find(*files, "postgres/init/init.sh", &NewFile::path)->mode, 0755);
  EXPECT_FALSE(stack_files(stack_schema(), {"example", "me@example.org", {}, "", "acme"}));
  EXPECT_FALSE(stack_files(stack_schema(), {"example.org", "me", {}, "", "acme"}));
  EXPECT_FALSE(stack_files(stack_schema(), {"example.org", "me@example.org", {"application"}, "", "acme"}));
}

TEST(Budget, SaysWhatFitsAndWhatIsOverCommitted) {
  const auto budget = parse_budget(embedded("budgets.yaml"));
  ASSERT_TRUE(budget) << budget.error().describe();
  EXPECT_EQ(fit(*budget, {"infrastructure", "databases", "applications"}, 128).verdict, Fit::Verdict::fits);
  EXPECT_EQ(fit(*budget, {"infrastructure", "databases", "applications"}, 32).verdict, Fit::Verdict::over_committed);
  EXPECT_EQ(fit(*budget, {"infrastructure", "databases", "applications"}, 8).verdict, Fit::Verdict::too_small);
  EXPECT_EQ(fit(*budget, {}, 8).services, 0U);
}

TEST(Budget, ProposesWhatAHostOfAnySizeCarries) {
  const auto budget = parse_budget(embedded("budgets.yaml"));
  ASSERT_TRUE(budget) << budget.error().describe();
  const auto proposal = [&](std::uint64_t gb) { return budget->proposal(gb) == nullptr ? std::string("nothing") : *budget->proposal(gb); };
  EXPECT_EQ(proposal(4), "nothing");
  EXPECT_EQ(proposal(8), "bootstrap");
  EXPECT_EQ(proposal(12), "bootstrap");
  EXPECT_EQ(proposal(16), "infrastructure");
  EXPECT_EQ(proposal(24), "applications");
  EXPECT_EQ(proposal(32), "infrastructure,databases,applications");
  EXPECT_EQ(proposal(100), proposal(32));
}

}  // namespace
}  // namespace dm::scaffold

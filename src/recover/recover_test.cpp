#include <gtest/gtest.h>

#include <algorithm>

#include "compose/load.hpp"
#include "recover/isolate.hpp"
#include "recover/plan.hpp"

namespace dm::recover {
namespace {

backup::Saved saved(std::string subject, std::string kind, std::map<std::string, std::string> facts = {}) {
  backup::Saved out;
  out.subject = std::move(subject);
  out.item = ".";
  out.snapshot = "id";
  out.bytes = 10;
  out.outcome = backup::Outcome::verified;
  out.target.kind = std::move(kind);
  out.target.service = out.subject;
  out.target.facts = std::move(facts);
  return out;
}

backup::Manifest run() {
  backup::Manifest out;
  out.project = "shop";
  out.saved = {saved("db", "postgres"), saved("cache", "valkey"), saved("volume:shop_up", "tree"), saved("folder:/srv/x", "tree"), saved("secrets", "sealed"), saved("project", "tree", {{"path", "/opt/shop"}})};
  out.stack.folder = "/opt/shop";
  out.stack.services = {{"db", "postgres:17", "sha256:1", {}}};
  out.stack.volumes = {{"shop_up", "up", "local", {}}};
  return out;
}

TEST(Plan, FilesComeFirstAndServersLast) {
  const auto one = run();
  const auto made = plan(one, {.folder = "/new"}, {});
  std::vector<std::string> order;
  for (const auto& step : made.steps) order.push_back(step.subject);
  EXPECT_EQ(order, (std::vector<std::string>{"project", "secrets", "folder:/srv/x", "volume:shop_up", "cache", "db"}));
  EXPECT_EQ(made.steps[0].to, "/new");
  EXPECT_EQ(made.steps[2].to, "/srv/x");
  EXPECT_TRUE(made.conflicts.empty());
  EXPECT_EQ(made.pulls, std::vector<std::string>{"postgres:17"});
}

TEST(Plan, WhatIsThereIsInTheWay) {
  const auto one = run();
  Around around;
  around.filled = {"/opt/shop", "/srv/x"};
  around.volumes = {"shop_up"};
  around.images = {"sha256:1"};
  around.containers = 2;
  const auto made = plan(one, {}, around);
  EXPECT_EQ(made.conflicts.size(), 4U);
  EXPECT_TRUE(made.pulls.empty());
}

TEST(Plan, WhatWasNotSavedIsSaid) {
  auto one = run();
  one.saved[0].snapshot.clear();
  one.saved[0].trouble = "the disk was full";
  one.uncovered = {"old: not covered"};
  const auto made = plan(one, {}, {});
  ASSERT_EQ(made.gaps.size(), 2U);
  EXPECT_NE(made.gaps[0].find("disk was full"), std::string::npos);
}

TEST(Plan, ReplicasGetAVolumeWithoutANameEach) {
  const auto container = [](std::string service, std::string volume) {
    engine::ContainerSummary out;
    out.labels["com.docker.compose.service"] = std::move(service);
    out.mounts.push_back({.type = "volume", .name = std::move(volume), .source = {}, .target = "/data"});
    return out;
  };
  const std::vector containers{container("other", "o"), container("app", "one"), container("app", "two")};
  backup::StackRecord::Volume then;
  then.service = "app";
  then.target = "/data";
  EXPECT_EQ(nameless_volume(then, containers, {}), "one");
  EXPECT_EQ(nameless_volume(then, containers, {"one"}), "two") << "what came back into the first one would be removed";
  EXPECT_EQ(nameless_volume(then, containers, {"one", "two"}), "");
  then.target = "/elsewhere";
  EXPECT_EQ(nameless_volume(then, containers, {}), "");
}

TEST(Plan, PathsBelowTheOldFolderMove) {
  EXPECT_EQ(moved("/opt/shop/x", "/opt/shop", "/new"), "/new/x");
  EXPECT_EQ(moved("/opt/shopping/x", "/opt/shop", "/new"), "/opt/shopping/x");
}

constexpr const char* kStack = R"(
name: shop
services:
  web:
    image: caddy:2
    container_name: edge
    ports: ["443:443"]
    network_mode: host
    labels: {traefik.enable: "true"}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock", "./site:/srv", "/srv/x/y:/y", "/etc/localtime:/etc/localtime:ro", "/srv/other:/other"]
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: geheim}
    networks: {back: {ipv4_address: 10.9.0.2, aliases: [sql]}}
    volumes: ["up:/data"]
networks: {back: {external: true, name: shared}}
volumes: {up: {external: true, name: precious}}
)";

/// The project as Compose reads it with the isolating file over it.
compose::Loaded isolated(const Apart& apart, Isolation& isolation) {
  static sources::MemoryFiles files;
  files.add("/p/compose.yaml", kStack);
  compose::Options options;
  options.working_directory = options.project_directory = "/p";
  options.files = {"/p/compose.yaml"};
  const auto loaded = compose::load(options, files);
  isolation = isolate(*loaded.project, apart);
  files.add("/p/apart.yaml", isolation.yaml);
  options.files.emplace_back("/p/apart.yaml");
  options.project_name = "shop-drill";
  return compose::load(options, files);
}

TEST(Isolate, NothingOfTheRealOneIsReachedOrTouched) {
  Isolation isolation;
  const auto loaded = isolated({.label_name = "datamancy.drill", .label_value = "shop", .own_volumes = true, .folders = {{"/srv/x", "/tmp/x"}}}, isolation);
  ASSERT_TRUE(loaded.ok) << isolation.yaml;
  const auto& project = *loaded.project;
  const auto* web = project.service("web");
  EXPECT_TRUE(web->ports.empty());
  EXPECT_FALSE(web->container_name);
  EXPECT_FALSE(web->network_mode);
  ASSERT_EQ(web->labels.size(), 1U);
  EXPECT_EQ(web->labels[0].first, "datamancy.drill");
  std::vector<std::string> sources;
  for (const auto& mount : web->mounts) sources.emplace_back(mount.source);
  EXPECT_EQ(sources, (std::vector<std::string>{"/p/site", "/tmp/x/y", "/etc/localtime"}));
  const auto* back = project.network("back");
  EXPECT_TRUE(back->internal);
  EXPECT_FALSE(back->external);
  EXPECT_EQ(back->name, "shop-drill_back");
  EXPECT_TRUE(project.network("default")->internal);
  EXPECT_FALSE(project.volume("up")->external);
  EXPECT_EQ(project.volume("up")->name, "shop-drill_up");
  EXPECT_FALSE(project.service("db")->networks[0].ipv4);
  EXPECT_EQ(project.service("db")->networks[0].aliases[0].value, "sql");
  EXPECT_EQ(isolation.yaml.find("geheim"), std::string::npos);
  EXPECT_TRUE(std::ranges::any_of(isolation.notes, [](const std::string& note) { return note.find("docker.sock") != std::string::npos; }));
}

TEST(Isolate, ARecoveryKeepsItsVolumes) {
  Isolation isolation;
  const auto loaded = isolated({.own_volumes = false}, isolation);
  ASSERT_TRUE(loaded.ok) << isolation.yaml;
  EXPECT_EQ(loaded.project->volume("up")->name, "precious");
  EXPECT_TRUE(loaded.project->service("web")->ports.empty());
  EXPECT_TRUE(loaded.project->network("back")->internal);
}

}  // namespace
}  // namespace dm::recover

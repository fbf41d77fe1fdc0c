#include "deploy/plan.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "deploy/borrowed_hash.hpp"
#include "deploy/check.hpp"
#include "deploy/content.hpp"
#include "deploy/network_drift.hpp"
#include "deploy/preflight.hpp"
#include "deploy/template.hpp"
#include "wiring/testing.hpp"

namespace dm::deploy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using wiring::testing::Wired;

/// Of `front: {}` of project p, as Compose 2.40.3 labelled it.
constexpr const char* kFrontHash = "0eef150638ef5d40df4328d358aaff0c34548ce32b9ddf7e4dbbc129f220084b";

/// Of the service `torrent` of a test below, in the network of the container kVpnId, as Compose 2.40.3 labelled it.
constexpr const char* kTorrentHash = "b86d36adbec6606488a2015f5f0f01b9ed372764535623eebaa4a1fecbb19142";
constexpr const char* kVpnId = "86550a52c4fde3aa4ce8a76062c206a43a580aaca789a558b5d2715d26ecf7bb";

constexpr const char* kThree = R"(name: p
services:
  app:
    image: app:1
    depends_on: {db: {condition: service_healthy, restart: true}, migrate: {condition: service_completed_successfully}}
  migrate: {image: "app:1", depends_on: {db: {condition: service_healthy}}}
  db: {image: "db:1", healthcheck: {test: [CMD, "true"], interval: 10s, retries: 2, timeout: 5s, start_period: 20s}}
  vpn: {image: "vpn:1"}
  torrent: {image: "t:1", network_mode: "service:vpn"}
)";

Container running(const std::string& service, const std::string& hash = "h", const std::string& image = "i") {
  Container c;
  c.id = service + "-id";
  c.name = "p-" + service + "-1";
  c.service = service;
  c.config_hash = hash;
  c.image_id = image;
  c.state.status = Snapshot::Status::running;
  return c;
}

PlanInput input_of(const Wired& w) {
  PlanInput input{.wiring = w.wiring};
  input.services = *choose(*w.loaded.project, {});
  for (const auto& service : w.loaded.project->services) input.hashes[std::string(service.name)] = "h";
  for (const auto* image : {"app:1", "db:1", "vpn:1", "t:1"}) input.images[image] = "i";
  return input;
}

std::vector<Container> all_running() {
  auto list = std::vector{running("app"), running("db"), running("vpn"), running("torrent"), running("migrate")};
  list.back().state.status = Snapshot::Status::exited;
  return list;
}

TEST(Plan, CreatesWhatIsNewWithDependenciesFirst) {
  const Wired w(kThree);
  const auto made = plan(input_of(w));
  ASSERT_EQ(made.steps.size(), 5U);
  EXPECT_EQ(made.steps[0].service, "db");
  EXPECT_EQ(made.steps[1].service, "migrate");
  EXPECT_EQ(made.steps[2].service, "app");
  EXPECT_EQ(made.count(Change::create), 5U);
  EXPECT_TRUE(made.step("migrate")->job.one_shot);
  EXPECT_EQ(made.step("db")->job.budget, milliseconds(20000 + 15000 * 2 + 10000 + 5000));
  EXPECT_THAT(made.longest_chain, ElementsAre("db", "migrate", "app"));
}

TEST(Plan, WhatRunsAsWantedIsKeptAndAOneShotThatIsDoneIsNotRunAgain) {
  const Wired w(kThree);
  auto input = input_of(w);
  input.containers = all_running();
  const auto made = plan(input);
  EXPECT_FALSE(made.changes()) << plan_text(made);
  EXPECT_EQ(made.step("migrate")->why, "done");
}

TEST(Plan, ContainersOfServicesThatAreGoneFromTheFilesGoWhereThatIsAskedFor) {
  const Wired w(kThree);
  auto input = input_of(w);
  input.containers = all_running();
  input.containers.push_back(running("former"));
  auto made = plan(input);
  EXPECT_FALSE(made.changes());
  EXPECT_THAT(made.orphans, ElementsAre("p-former-1"));
  input.remove_orphans = true;
  made = plan(input);
  EXPECT_TRUE(made.changes());
  EXPECT_THAT(made.orphans, IsEmpty());
  EXPECT_THAT(plan_text(made), HasSubstr("remove    p-former-1: its service is not in the files"));
}

constexpr const char* kNetworks = R"(name: p
services:
  web: {image: "app:1", networks: [front, back]}
  db: {image: "app:1", networks: [back]}
  tool: {image: "app:1", networks: [back], profiles: [tools]}
  alone: {image: "app:1", networks: [front]}
networks:
  front: {}
  back: {internal: true, driver_opts: {mtu: "1400"}, ipam: {config: [{subnet: 10.9.0.0/24}]}}
)";

TEST(Plan, ANetworkThatDiffersFromTheFilesIsMadeAnewWithEverythingOnIt) {
  const Wired w(kNetworks);
  auto input = input_of(w);
  input.containers = {running("web"), running("db"), running("alone")};
  EXPECT_FALSE(plan(input).changes());
  input.changed_networks["back"] = "internal";
  auto made = plan(input);
  EXPECT_EQ(made.count(Change::recreate), 2U) << plan_text(made);
  EXPECT_TRUE(made.step("db")->forced) << "Compose sees no difference in the service";
  EXPECT_THAT(made.step("db")->why, HasSubstr("network back is made anew, since it differs from the files (internal)"));
  EXPECT_EQ(made.step("alone")->change, Change::none);
  EXPECT_EQ(made.refusal, "");
  input.services = *choose(*w.loaded.project, {"db"});
  EXPECT_THAT(plan(input).refusal, HasSubstr("web would be cut off"));
  input.services = *choose(*w.loaded.project, {});
  input.containers = {running("web")};
  EXPECT_EQ(plan(input).refusal, "") << "db is new: nobody cuts it off";
  input.containers.push_back(running("tool"));
  EXPECT_THAT(plan(input).refusal, HasSubstr("tool would be cut off")) << "a service of a profile that is off runs on it";
}

TEST(NetworkDrift, IsWhatComposeWouldSee) {
  const Wired w(kNetworks);
  const auto& project = *w.loaded.project;
  const auto there = [](const std::string& key, const std::string& hash) {
    return engine::Network{.name = "p_" + key, .driver = "bridge", .labels = {{"com.docker.compose.project", "p"}, {"com.docker.compose.network", key}, {"com.docker.compose.config-hash", hash}}};
  };
  const auto front = std::string(kFrontHash);
  auto back = there("back", "of before");
  EXPECT_THAT(changed_networks(project, {there("front", front)}), IsEmpty());
  EXPECT_THAT(changed_networks(project, {back}), ElementsAre(testing::Pair("back", "internal, driver_opts, subnets")));
  back.internal = true;
  back.options = {{"mtu", "1400"}};
  back.subnets = {"10.9.0.0/24"};
  EXPECT_THAT(changed_networks(project, {back}), IsEmpty()) << "nothing to be seen: another Compose may hash it in another way";
  EXPECT_THAT(changed_networks(project, {there("front", front), back}), ElementsAre(testing::Pair("back", "its settings"))) << "it hashes as we do";
  back.internal = false;
  back.labels.erase("com.docker.compose.config-hash");
  EXPECT_THAT(changed_networks(project, {back}), IsEmpty()) << "Compose leaves alone what has no hash";
}

TEST(Hashes, WhatLivesInAnothersNetworkIsHashedWithItsId) {
  Wired w(R"(name: p
services:
  vpn: {image: "deploy-test/base:1", init: true, stop_grace_period: 1s, command: [sleep, "3600"]}
  torrent: {image: "deploy-test/base:1", init: true, stop_grace_period: 1s, command: [sleep, "3600"], network_mode: "service:vpn"}
)");
  const std::string label = kTorrentHash, id = kVpnId;
  std::map<std::string, std::string> hashes{{"vpn", "h"}, {"torrent", "as it is written"}};
  auto vpn = running("vpn"), torrent = running("torrent", label);
  vpn.id = id;
  const auto settled = [&] {
    auto out = hashes;
    settle_borrowed_hashes(out, *w.loaded.project, std::vector{torrent, vpn});
    return out;
  };
  EXPECT_EQ(settled(), (std::map<std::string, std::string>{{"vpn", "h"}, {"torrent", label}}));
  vpn.id = std::string(64, 'a');  // somebody made it anew: torrent is cut off
  EXPECT_EQ(settled(), hashes);
  EXPECT_EQ(w.loaded.project->service("torrent")->node->find("network_mode")->text, "service:vpn") << "as it was";
}

TEST(Plan, NamesTheSecretsThatChanged) {
  const Wired w("name: p\nservices:\n  app: {image: \"app:1\", labels: {datamancy.secrets: \"11:DB_PASSWORD 22:TOKEN 33:NEW\"}}\n");
  auto input = input_of(w);
  input.hashes["app"] = "other";
  input.containers = {running("app")};
  EXPECT_EQ(plan(input).step("app")->why, "its configuration changed") << "a container that does not say what it was made with";
  input.containers[0].secret_marks = "11:DB_PASSWORD 99:TOKEN";
  EXPECT_EQ(plan(input).step("app")->why, "secrets NEW, TOKEN changed");
  input.containers[0].secret_marks = "11:DB_PASSWORD 22:TOKEN 33:NEW";
  EXPECT_EQ(plan(input).step("app")->why, "its configuration changed");
}

TEST(Plan, SaysWhyItRecreates) {
  const Wired w(kThree);
  auto input = input_of(w);
  input.containers = all_running();
  input.hashes["app"] = "other";
  EXPECT_EQ(plan(input).step("app")->why, "its configuration changed");
  input.hashes["app"] = "h";
  input.images["app:1"] = "sha256:aaaabbbbccccdddd";
  EXPECT_THAT(plan(input).step("app")->why, HasSubstr("image app:1 is aaaabbbbcccc now"));
  input.images["app:1"] = "i";
  input.changed_content["app"] = {"./x.conf"};
  const auto made = plan(input);
  EXPECT_EQ(made.step("app")->why, "content of ./x.conf changed");
  EXPECT_TRUE(made.step("app")->forced);
}

TEST(Plan, WhatLivesInTheNetworkOfAServiceIsStartedAnewWithIt) {
  const Wired w(kThree);
  auto input = input_of(w);
  input.containers = all_running();
  input.containers[2].state.status = Snapshot::Status::exited;
  const auto made = plan(input);
  EXPECT_EQ(made.step("vpn")->change, Change::start);
  EXPECT_EQ(made.step("torrent")->change, Change::restart);
  EXPECT_EQ(made.step("torrent")->why, "lives in the network of vpn, which is started anew");
  EXPECT_EQ(made.step("app")->change, Change::none);
  input.containers[2].state.status = Snapshot::Status::running;
  input.containers[2].started = 1700000002000000000;
  input.containers[3].started = 1700000003000000000;
  EXPECT_FALSE(plan(input).changes());
  input.containers[2].started = 1700000009000000000;  // its restart policy did it
  EXPECT_EQ(plan(input).step("torrent")->why, "vpn was started after it, so that it is cut off from the network");
}

TEST(Plan, FollowersOfARecreatedServiceFollow) {
  const Wired w(kThree);
  auto input = input_of(w);
  input.containers = all_running();
  input.hashes["db"] = "other";
  input.hashes["vpn"] = "other";
  const auto made = plan(input);
  EXPECT_EQ(made.step("app")->change, Change::restart);
  EXPECT_EQ(made.step("torrent")->change, Change::recreate);
  EXPECT_TRUE(made.step("torrent")->forced);
  EXPECT_EQ(made.step("migrate")->change, Change::none);
}

TEST(Plan, KeepsWhatDiffersWhereAskedTo) {
  const Wired w(kThree);
  auto input = input_of(w);
  input.containers = all_running();
  input.hashes["db"] = "other";
  input.keep = true;
  const auto made = plan(input);
  EXPECT_FALSE(made.changes());
  EXPECT_THAT(made.step("db")->why, HasSubstr("kept, as asked"));
}

TEST(Plan, ScalingDownRemovesTheHighestNumbersAndKeepsTheRest) {
  const Wired w("services:\n  web: {image: x, deploy: {replicas: 2}}\n  off: {image: x, scale: 0}\n");
  PlanInput input{.wiring = w.wiring};
  input.services = *choose(*w.loaded.project, {});
  input.hashes = {{"web", "h"}, {"off", "h"}};
  input.images["x"] = "i";
  for (const int number : {3, 1, 2}) {
    input.containers.push_back(running("web"));
    input.containers.back().number = number;
    input.containers.back().id = input.containers.back().name = fmt::format("web-{}", number);
  }
  input.containers.push_back(running("off"));
  const auto made = plan(input);
  EXPECT_TRUE(made.changes());
  EXPECT_EQ(made.step("web")->change, Change::none);
  EXPECT_THAT(made.step("web")->ids, ElementsAre("web-1", "web-2"));
  ASSERT_EQ(made.surplus.size(), 2U);
  EXPECT_EQ(made.surplus[0].name, "web-3");
  EXPECT_EQ(made.surplus[1].service, "off");
  EXPECT_THAT(plan_text(made), HasSubstr("remove    web-3"));
}

TEST(Plan, OfTwoWithOneNumberTheOneThatRunsStays) {
  const Wired w("services:\n  web: {image: x}\n");
  PlanInput input{.wiring = w.wiring};
  input.services = *choose(*w.loaded.project, {});
  input.hashes = {{"web", "h"}};
  input.images["x"] = "i";
  input.containers = {running("web"), running("web")};
  input.containers[0].id = input.containers[0].name = "left-by-a-killed-run";
  input.containers[0].state.status = Snapshot::Status::created;
  for (int turn = 0; turn < 2; ++turn) {
    const auto made = plan(input);
    EXPECT_EQ(made.step("web")->change, Change::none);
    ASSERT_EQ(made.surplus.size(), 1U);
    EXPECT_EQ(made.surplus[0].name, "left-by-a-killed-run");
    std::swap(input.containers[0], input.containers[1]);
  }
}

TEST(Plan, RepairRestartsWhatRunsButIsNotWell) {
  const Wired w(kThree);
  auto input = input_of(w);
  input.containers = all_running();
  input.containers[1].state.health = Snapshot::Health::unhealthy;
  EXPECT_FALSE(plan(input).changes());
  input.repair = true;
  EXPECT_EQ(plan(input).step("db")->change, Change::restart);
  EXPECT_EQ(plan(input).step("vpn")->change, Change::none);
}

TEST(Plan, ServicesThatComposeMustStartAreSaid) {
  const Wired w(R"(services:
  a: {image: x, configs: [c]}
  b: {image: x, post_start: [{command: "true"}]}
  d: {image: x, configs: [f]}
configs:
  c: {content: hello}
  f: {file: ./f}
)");
  const auto& project = *w.loaded.project;
  EXPECT_THAT(started_by_compose(project, *project.service("a")), HasSubstr("config c"));
  EXPECT_THAT(started_by_compose(project, *project.service("b")), HasSubstr("post_start"));
  EXPECT_EQ(started_by_compose(project, *project.service("d")), "");
}

TEST(Plan, EarlyReadinessIsForTruthfulChecksWithALongInterval) {
  const Wired w(R"(services:
  tcp: {image: "postgres:17", healthcheck: {test: [CMD-SHELL, "pg_isready -h 127.0.0.1 -U x"], interval: 10s}}
  socket: {image: "postgres:17", healthcheck: {test: [CMD-SHELL, "pg_isready -U x"], interval: 10s}}
  quick: {image: "postgres:17", healthcheck: {test: [CMD-SHELL, "pg_isready -h 127.0.0.1 -U x"], interval: 1s}}
)");
  const auto allowed = [&](const char* name) {
    const auto* service = w.loaded.project->service(name);
    return early_allowed(*service, w.wiring.product_of[w.wiring.id_of(name)]);
  };
  EXPECT_TRUE(allowed("tcp"));
  EXPECT_FALSE(allowed("socket")) << "passes while the temporary server of the image runs";
  EXPECT_FALSE(allowed("quick"));
}

TEST(Plan, AnUnknownServiceNamesItsNeighbours) {
  const Wired w(kThree);
  const auto chosen = choose(*w.loaded.project, {"ap"});
  ASSERT_FALSE(chosen);
  EXPECT_THAT(chosen.error().message, HasSubstr("did you mean 'app'"));
}

TEST(Preflight, NamesEverythingAtOnceAndWhatBlocks) {
  const Wired w(R"(services:
  web: {image: "w:1", pull_policy: never, ports: ["8080:80"], volumes: ["./missing.conf:/etc/w.conf:ro"], mem_limit: 3g, environment: {A: "${NOWHERE}"}}
networks: {default: {external: true, name: shared}}
)");
  Surroundings around;
  around.engine.product = "Docker";
  around.engine.server_version = "20.10.24";
  around.engine.memory = 2ULL << 30U;
  around.compose_version = "2.40.3";
  around.rooms.push_back({{.mount = "/var", .total = 100ULL << 30U, .free = 10ULL << 30U, .inodes = 1000, .inodes_free = 10}, {"the engine's data"}});
  around.published.push_back({{.inside = 80, .outside = 8080, .address = "0.0.0.0", .protocol = "tcp"}, "other-1", false});
  const auto services = *choose(*w.loaded.project, {});
  const auto problems = preflight({.wiring = w.wiring, .services = services, .around = around});
  std::vector<std::string> checks;
  for (const auto& problem : problems) checks.push_back(problem.check + (problem.blocks ? "!" : ""));
  EXPECT_THAT(checks, testing::UnorderedElementsAre("mounts!", "networks!", "ports!", "images!", "disk", "inodes!", "memory", "variables")) << preflight_text(problems);
  EXPECT_THAT(preflight_text(problems), HasSubstr("taken by container other-1"));
  around.compose_version = "2.17.0";
  EXPECT_THAT(preflight_text(preflight({.wiring = w.wiring, .services = services, .around = around})), HasSubstr("docker compose 2.17.0 is too old"));
}

TEST(Preflight, ASocketThatIsAFolderOrMissingIsNoSocket) {
  const Wired w(R"(services:
  proxy: {image: "p:1", volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro", "/etc/timezone:/etc/timezone:ro"]}
  cert: {image: "c:1", volumes: ["/etc/ssl/club.pem:/club.pem:ro", "/srv/sockets:/run/app"]}
)");
  Surroundings around;
  const auto services = *choose(*w.loaded.project, {});
  const auto text = [&] {
    std::string out;
    for (const auto& problem : preflight({.wiring = w.wiring, .services = services, .around = around}))
      if (problem.check == "mounts") out += (problem.blocks ? "blocks: " : "hurts: ") + problem.what + "\n";
    return out;
  };
  around.outside = {{"/var/run/docker.sock", sources::Kind::other}, {"/etc/timezone", sources::Kind::regular}, {"/etc/ssl/club.pem", sources::Kind::regular}, {"/srv/sockets", sources::Kind::directory}};
  EXPECT_EQ(text(), "");
  around.outside["/var/run/docker.sock"] = sources::Kind::directory;  // what an engine whose socket lies elsewhere makes of it
  EXPECT_EQ(text(), "blocks: proxy mounts the folder /var/run/docker.sock where a socket belongs\n");
  around.outside = {{"/var/run/docker.sock", sources::Kind::missing}, {"/etc/timezone", sources::Kind::missing}, {"/etc/ssl/club.pem", sources::Kind::missing}, {"/srv/sockets", sources::Kind::missing}};
  EXPECT_THAT(text(), testing::AllOf(HasSubstr("blocks: proxy mounts /var/run/docker.sock, and there is no such socket"), HasSubstr("hurts: proxy mounts /etc/timezone"), HasSubstr("blocks: cert mounts /etc/ssl/club.pem"),
                                     testing::Not(HasSubstr("/srv/sockets"))));
}

TEST(Preflight, NamesOfContainersAreTheWholeEnginesAndVolumesStayAsTheyAre) {
  const Wired w(R"(name: p
services:
  web: {image: "w:1", container_name: proxy, volumes: ["data:/d"]}
  api: {image: "w:1", scale: 2}
volumes: {data: {driver_opts: {type: none, o: bind, device: /srv/new}}}
)");
  Surroundings around;
  around.engine.product = "Docker";
  around.engine.server_version = "20.10.24";
  around.compose_version = "2.40.3";
  around.volumes["p_data"] = {.name = "p_data", .driver = "local", .options = {{"type", "none"}, {"o", "bind"}, {"device", "/srv/new"}}};
  const auto services = *choose(*w.loaded.project, {});
  const auto text = [&] { return preflight_text(preflight({.wiring = w.wiring, .services = services, .around = around})); };
  EXPECT_EQ(text(), "");
  around.foreign = {{"proxy", "of project 'shop'"}, {"p-api-2", "of no project"}, {"p-api-3", "of no project"}};
  around.volumes["p_data"].options["device"] = "/srv/old";
  EXPECT_THAT(text(), HasSubstr("stops: names: web needs the container name proxy, which a container of project 'shop' has\n"));
  EXPECT_THAT(text(), HasSubstr("stops: names: api needs the container name p-api-2, which a container of no project has\n"));
  EXPECT_THAT(text(), Not(HasSubstr("p-api-3")));
  EXPECT_THAT(text(), HasSubstr("hurts: volumes: volume p_data is there, and is not what the files say: driver_opts.device; it is used as it is\n"));
}

TEST(Preflight, WhereNobodyAsksAHealthcheckItIsNamed) {
  const Wired w(kThree);
  Surroundings around;
  around.engine.product = "Podman";
  around.engine.server_version = "4.3.1";
  around.compose_version = "2.40.3";
  const auto services = *choose(*w.loaded.project, {});
  const auto text = [&] { return preflight_text(preflight({.wiring = w.wiring, .services = services, .around = around})); };
  EXPECT_THAT(text(), Not(HasSubstr("healthcheck")));
  around.systemd = false;
  EXPECT_THAT(text(), HasSubstr("systemd, which does not run here: nobody asks db\n"));
  around.local = false;  // of another machine nobody knows
  EXPECT_THAT(text(), Not(HasSubstr("healthcheck")));
  around.local = true;
  around.engine.product = "Docker";
  EXPECT_THAT(text(), Not(HasSubstr("healthcheck")));
}

TEST(Preflight, AKernelSettingIsNamedOnceWithAllWhoNeedIt) {
  const Wired w("services:\n  cache: {image: \"valkey/valkey:8\"}\n  queue: {image: \"valkey/valkey:8\"}\n  old: {image: \"redis:7\"}\n");
  Surroundings around;
  around.engine.product = "Docker";
  around.engine.server_version = "20.10.24";
  around.compose_version = "2.40.3";
  around.kernel["vm.overcommit_memory"] = 0;
  const auto services = *choose(*w.loaded.project, {});
  const auto text = preflight_text(preflight({.wiring = w.wiring, .services = services, .around = around}));
  EXPECT_EQ(text.find("vm.overcommit_memory >="), text.rfind("vm.overcommit_memory >=")) << text;
  EXPECT_THAT(text, HasSubstr("cache, queue (Valkey), old (Redis) need vm.overcommit_memory >= 1, it is 0: a background save"));
}

TEST(Content, AChangeIsOfTheContainersThatWereMadeWithOtherContent) {
  Digests now;
  now.of["web"]["/p/a"] = "new";
  now.of["api"]["/p/a"] = "new";
  now.of["old"]["/p/a"] = "new";
  auto web = running("web"), api = running("api"), old = running("old");
  old.created = 100;
  const auto change = compare_content(now, {{"web-id", {{"/p/a", "before"}}}, {"api-id", {{"/p/a", "new"}}}}, {web, api, old}, {{"/p/a", 200}});
  EXPECT_THAT(change.changed, ElementsAre(testing::Key("web")));
  EXPECT_THAT(change.notes, ElementsAre(HasSubstr("old: /p/a is younger than its container")));
}

TEST(Content, CountsWhatLiesInNoFile) {
  const auto seen = [](const std::string& greeting, const std::string& token) {
    const Wired w("name: p\nservices:\n  web: {image: x, configs: [page], secrets: [token, gone]}\nconfigs: {page: {content: \"" + greeting +
                  "\"}}\nsecrets: {token: {environment: TOKEN}, gone: {environment: NOT_SET}}\n-- .env\nTOKEN=" + token + "\n");
    return digests(mounted(w.wiring), "key").of["web"];
  };
  const auto before = seen("hello", "one");
  EXPECT_THAT(before, ElementsAre(testing::Key("config page"), testing::Key("secret token")));
  EXPECT_EQ(seen("hello", "one"), before);
  EXPECT_NE(seen("hi", "one").at("config page"), before.at("config page"));
  EXPECT_EQ(seen("hi", "one").at("secret token"), before.at("secret token"));
  EXPECT_NE(seen("hello", "two").at("secret token"), before.at("secret token"));
  const Wired w("services:\n  web: {image: x, configs: [page], secrets: [token]}\nconfigs: {page: {content: hello}}\nsecrets: {token: {environment: TOKEN}}\n-- .env\nTOKEN=one\n");
  EXPECT_THAT(kept_files(mounted(w.wiring), "key"), IsEmpty());
}

TEST(Template, KeepsNoSecretAndFillsItAgainOnlyWithTheSameValue) {
  const Wired w(R"(services:
  app: {image: x, environment: {DB_PASSWORD: "hunter2-long", COLOR: red, DSN: "postgres://u:hunter2-long@db/x"}}
)");
  const auto digest = [](std::string_view text) { return keyed_digest("key", text); };
  const auto json = compose::to_json(*w.loaded.project);
  const auto made = make_template(json, *w.loaded.project, digest);
  ASSERT_TRUE(made);
  EXPECT_THAT(made->model, Not(HasSubstr("hunter2")));
  EXPECT_THAT(made->holes, Not(HasSubstr("hunter2")));
  EXPECT_THAT(made->model, HasSubstr("red"));
  const auto filled = fill(*made, json, {}, {}, digest);
  ASSERT_TRUE(filled);
  EXPECT_THAT(filled->missing, IsEmpty());
  EXPECT_EQ(filled->variables.size(), 2U);
  const Wired changed("services:\n  app: {image: x, environment: {DB_PASSWORD: other-value}}\n");
  const auto later = fill(*made, compose::to_json(*changed.loaded.project), {}, {}, digest);
  EXPECT_THAT(later->missing, Contains("services.app.environment.DB_PASSWORD"));
  EXPECT_THAT(fill(*made, compose::to_json(*changed.loaded.project), {}, {"hunter2-long", "postgres://u:hunter2-long@db/x"}, digest)->missing, IsEmpty());
}

TEST(Template, AfterARotationTheRestOfAUrlGoesBackAndThePresentSecretStays) {
  const Wired before("services:\n  app: {image: x, environment: {URL: 'postgres://u:${DB_PASSWORD}@db/x', PGPASSWORD: '${DB_PASSWORD}'}}\n-- .env\nDB_PASSWORD='old$pass-word'\n");
  const Wired after("services:\n  app: {image: x, environment: {URL: 'postgres://u:${DB_PASSWORD}@dbx/x', PGPASSWORD: '${DB_PASSWORD}'}}\n-- .env\nDB_PASSWORD='new$pass-word'\n");
  const auto digest = [](std::string_view text) { return keyed_digest("key", text); };
  const auto made = make_template(compose::to_json(*before.loaded.project), *before.loaded.project, digest, {{"DB_PASSWORD", "old$pass-word"}});
  ASSERT_TRUE(made);
  EXPECT_THAT(made->model, Not(HasSubstr("pass-word")));
  EXPECT_THAT(made->model, HasSubstr("@db/x"));
  const auto today = compose::to_json(*after.loaded.project);
  const auto filled = fill(*made, today, {{"DB_PASSWORD", "new$pass-word"}}, {}, digest);
  ASSERT_TRUE(filled);
  EXPECT_THAT(filled->missing, IsEmpty());
  EXPECT_THAT(filled->changed, ElementsAre("DB_PASSWORD"));
  for (const auto& [name, value] : filled->variables) EXPECT_EQ(value, "new$pass-word");
  // A container that still runs with the old value tells that it was the one which worked.
  const auto running_old = fill(*made, today, {{"DB_PASSWORD", "new$pass-word"}}, {"old$pass-word"}, digest);
  EXPECT_THAT(running_old->changed, IsEmpty());
  for (const auto& [name, value] : running_old->variables) EXPECT_EQ(value, "old$pass-word");
}

TEST(Template, AValueOfAServicesSealedEnvFileComesBackByItsName) {
  const Wired w("services:\n  db: {image: x, healthcheck: {test: [CMD-SHELL, 'pg_isready -U shop -h 127.0.0.1']}}\n");
  const auto digest = [](std::string_view text) { return keyed_digest("key", text); };
  const auto json = compose::to_json(*w.loaded.project);
  const auto made = make_template(json, *w.loaded.project, digest, {{"env/db.enc.env:POSTGRES_USER", "shop"}});
  ASSERT_TRUE(made);
  EXPECT_THAT(made->model, Not(HasSubstr("-U shop")));
  const auto same = fill(*made, json, {{"env/db.enc.env:POSTGRES_USER", "shop"}}, {}, digest);
  ASSERT_TRUE(same);
  EXPECT_THAT(same->missing, IsEmpty());
  EXPECT_THAT(same->changed, IsEmpty());
  const auto later = fill(*made, json, {{"env/db.enc.env:POSTGRES_USER", "market"}}, {}, digest);
  EXPECT_THAT(later->missing, IsEmpty());
  EXPECT_THAT(later->changed, ElementsAre("env/db.enc.env:POSTGRES_USER"));
}

TEST(Check, WhatCannotBeJudgedIsUnknownAndNeverAPass) {
  const Wired w(R"(services:
  db: {image: "postgres:17", volumes: ["d:/var/lib/postgresql/data"], mem_limit: 1g}
volumes: {d: {}}
)");
  const auto services = *choose(*w.loaded.project, {});
  CheckInput input{.wiring = w.wiring, .services = services};
  input.containers = {running("db")};
  input.in_force["db-id"] = {.memory_configured = 1 << 30, .log_driver = "json-file"};
  input.gpu = {Answer::not_applicable, "no"};
  const auto items = check(input);
  const auto of = [&](std::string_view id) { return std::ranges::find(items, id, &CheckItem::id)->answer; };
  EXPECT_EQ(of("O31"), Answer::pass);
  EXPECT_EQ(of("O34"), Answer::unknown);
  EXPECT_EQ(of("O36"), Answer::unknown) << "its control group was not read";
  EXPECT_EQ(of("O38"), Answer::fail);
  EXPECT_EQ(of("O39"), Answer::unknown);
  EXPECT_EQ(of("O40"), Answer::unknown);
  EXPECT_FALSE(all_pass(items));
  input.in_force["db-id"].memory_cgroup = 512 << 20;
  const auto again = check(input);
  EXPECT_EQ(std::ranges::find(again, "O36", &CheckItem::id)->answer, Answer::fail) << "the kernel enforces something else";
}

TEST(Check, AStoredProofCountsWhileItIsFreshAndBoundToWhatRuns) {
  const Wired w("services:\n  db: {image: \"postgres:17\", volumes: [\"d:/var/lib/postgresql/data\"]}\nvolumes: {d: {}}\n");
  const auto services = *choose(*w.loaded.project, {});
  CheckInput input{.wiring = w.wiring, .services = services};
  input.now = 1000;
  input.present = present_of("e", {running("db")});
  for (const auto* control : {"R72", "R73"})
    input.proofs.push_back({.control = control, .result = state::Outcome::verified, .evidence = "done", .made = 900, .expires = 2000, .binding = input.present.whole});
  EXPECT_EQ(check(input)[3].answer, Answer::pass);
  input.now = 3000;
  EXPECT_EQ(check(input)[3].answer, Answer::unknown) << "expired";
  input.now = 1000;
  input.proofs[1].binding.image = "another";
  EXPECT_EQ(check(input)[3].answer, Answer::unknown) << "made on another image";
}

}  // namespace
}  // namespace dm::deploy

#include <gtest/gtest.h>

#include <algorithm>

#include "wiring/testing.hpp"

namespace dm::wiring {
namespace {

using testing::Wired;
using Outcome = Reference::Outcome;

TEST(References, AHostOnACommonNetworkIsReachableAndItsPlaceIsExact) {
  const Wired p(R"(services:
  app:
    image: example/app:1
    environment:
      DATABASE_URL: "postgres://u:p@db:5432/app"
      CACHE_HOST: cache
      CACHE_PORT: 6379
  db: {image: "postgres:17"}
  cache: {image: "valkey/valkey:8"}
)");
  const auto* db = p.reference("app", "db");
  ASSERT_NE(db, nullptr);
  EXPECT_EQ(db->outcome, Outcome::reachable);
  EXPECT_EQ(db->scheme, "postgres");
  EXPECT_EQ(db->port_listens, std::optional<bool>(true));
  EXPECT_EQ(p.text(db->where), "db");
  EXPECT_EQ(db->network, "default");
  const auto* cache = p.reference("app", "cache");
  ASSERT_NE(cache, nullptr);
  EXPECT_EQ(cache->port, std::optional<std::uint16_t>(6379));
  EXPECT_EQ(p.wiring.dependents[p.wiring.id_of("db")], std::vector<ServiceId>{p.wiring.id_of("app")});
}

TEST(References, NamesThatNothingAnswersToAndNetworksThatDiffer) {
  const Wired p(R"(services:
  app: {image: "example/app:1", networks: [front], environment: {DB_HOST: db, REDIS_HOST: chache}}
  db: {image: "postgres:17", networks: [back]}
networks: {front: , back: }
)");
  EXPECT_EQ(p.reference("app", "db")->outcome, Outcome::no_common_network);
  EXPECT_EQ(p.reference("app", "chache")->outcome, Outcome::unknown_name);
  EXPECT_TRUE(p.reference("app", "chache")->firm);
}

TEST(References, AnAliasOfAnotherNetworkIsAnsweredByThePublicDns) {
  const Wired p(R"(services:
  app: {image: "example/app:1", networks: [front], environment: {SMTP_HOST: mail.example.org, AUTH_HOST: auth.club.internal}}
  shut: {image: "example/app:1", networks: [shut], environment: {SMTP_HOST: mail.example.org}}
  mail: {image: "example/mail:1", networks: {back: {aliases: [mail.example.org, auth.club.internal]}}}
networks: {front: , back: , shut: {internal: true}}
)");
  EXPECT_EQ(p.reference("app", "mail.example.org")->outcome, Outcome::external);
  EXPECT_EQ(p.reference("app", "auth.club.internal")->outcome, Outcome::no_common_network);
  EXPECT_EQ(p.reference("shut", "mail.example.org")->outcome, Outcome::no_common_network);
}

TEST(References, WhatCannotBeKnownIsNoFinding) {
  const Wired p(R"(services:
  out: {image: "example/app:1", networks: [proxy], environment: {DB_HOST: somewhere}}
  fqdn: {image: "example/app:1", environment: {DB_HOST: db.example.org}}
  extra: {image: "example/app:1", environment: {DB_HOST: legacy}, extra_hosts: ["legacy:10.0.0.5"]}
  generated: {image: "example/app:1", environment: {DB_HOST: p-fqdn-1}}
  host: {image: "example/app:1", network_mode: host, environment: {DB_HOST: db}}
  unset: {image: "example/app:1", environment: {DB_HOST: "${NOWHERE}", URL: "http://${NOWHERE}db:80"}}
  gateway: {image: "example/app:1", environment: {DB_HOST: host.docker.internal}}
networks: {proxy: {external: true}}
)");
  EXPECT_EQ(p.reference("out", "somewhere")->outcome, Outcome::external);
  EXPECT_EQ(p.reference("fqdn", "db.example.org")->outcome, Outcome::external);
  EXPECT_EQ(p.reference("extra", "legacy")->outcome, Outcome::external);
  EXPECT_EQ(p.reference("generated", "p-fqdn-1")->outcome, Outcome::external);
  EXPECT_EQ(p.reference("host", "db")->outcome, Outcome::host);
  EXPECT_EQ(p.reference("gateway", "host.docker.internal")->outcome, Outcome::host);
  EXPECT_EQ(p.firm("unset"), "");
}

TEST(References, OneUnsetPartDoesNotHideTheRest) {
  const Wired p(R"(services:
  app: {image: "example/app:1", environment: {URL: "postgres://u:${NOWHERE}@db:5432/x"}}
  db: {image: "postgres:17"}
)");
  EXPECT_EQ(p.firm("app"), "db:5432");
}

TEST(References, AliasesContainerNamesAndSharedNetworksResolve) {
  const Wired p(R"(services:
  app: {image: "example/app:1", environment: {A_DB_HOST: primary, B_DB_HOST: pg-main}}
  db: {image: "postgres:17", container_name: pg-main, networks: {default: {aliases: [primary]}}}
  vpn: {image: "example/vpn:1"}
  torrent: {image: "example/t:1", network_mode: "service:vpn", environment: {DB_HOST: db, OTHER_DB_HOST: vpn}}
)");
  EXPECT_EQ(p.reference("app", "primary")->outcome, Outcome::reachable);
  EXPECT_EQ(p.reference("app", "pg-main")->outcome, Outcome::reachable);
  EXPECT_EQ(p.reference("torrent", "db")->outcome, Outcome::reachable);
}

TEST(References, ATargetWhoseProfileIsOffIsInactive) {
  const Wired p(R"(services:
  app: {image: "example/app:1", environment: {CACHE_HOST: cache}}
  cache: {image: "valkey/valkey:8", profiles: [fast]}
)");
  EXPECT_EQ(p.reference("app", "cache")->outcome, Outcome::inactive);
}

TEST(References, ProxiesAreReadInTheirOwnFiles) {
  const Wired p(R"(services:
  caddy: {image: "caddy:2", volumes: ["./Caddyfile:/etc/caddy/Caddyfile"]}
  web: {image: "nginx:1.27", volumes: ["./site.conf:/etc/nginx/conf.d/site.conf:ro"]}
  prometheus: {image: "prom/prometheus:v3", volumes: ["./prometheus.yml:/etc/prometheus/prometheus.yml"]}
  app: {image: "example/app:1", expose: ["3000"]}
-- Caddyfile
{
	email a@example.org
}
blog.example.org {
	# reverse_proxy old:1
	reverse_proxy /api/* app:3000 {
		header_up Host {host}
	}
	reverse_proxy @x {
		to ghost:2368 unix//run/x.sock
	}
	respond "reverse_proxy no:1"
}
-- site.conf
upstream backend { server app:3000 weight=2; server unix:/run/x; }
server {
  location / { proxy_pass http://backend; }
  location /b { proxy_pass http://nobody:80/; }
  location /c { set $u app; proxy_pass http://$u:80; }
}
-- prometheus.yml
scrape_configs:
  - job_name: x  # not:1
    static_configs:
      - targets: ['app:3000', 'node:9100']
)");
  EXPECT_EQ(p.firm("caddy"), "app:3000 ghost:2368");
  EXPECT_EQ(p.text(p.reference("caddy", "ghost")->where), "ghost");
  EXPECT_EQ(p.reference("caddy", "ghost")->outcome, Outcome::unknown_name);
  EXPECT_EQ(p.firm("web"), "app:3000 nobody:80");
  EXPECT_NE(p.reference("prometheus", "app"), nullptr);
  EXPECT_EQ(p.reference("prometheus", "node"), nullptr);
}

TEST(References, LookAlikesInAWholeProjectGiveNoFirmReference) {
  const Wired p(R"(services:
  app:
    image: example/app:1
    environment:
      TZ: Europe/Berlin
      DB_IMAGE: postgres:16
      VERSION: db:16
      ADMIN_EMAIL: me@db
      SOCKET: unix:///run/app.sock
      CORS_ORIGIN: http://frontend:3000
      ROOT_URL: http://public
      BIND: "[::]:80"
    labels: {homepage.widget.url: "http://nobody:80"}
  db: {image: "postgres:17"}
)");
  EXPECT_EQ(p.firm("app"), "");
}

TEST(References, AnotherComposeFileOfTheFolderMayBringTheName) {
  const Wired p(R"(services:
  app: {image: "example/app:1", environment: {GRAFANA_HOST: grafana, GRAFANA_PORT: 3000, DB_HOST: nobody}}
-- compose.monitoring.yaml
services:
  grafana: {image: "grafana/grafana:12.0.0"}
)");
  EXPECT_EQ(p.reference("app", "grafana")->outcome, Outcome::external);
  EXPECT_EQ(p.reference("app", "nobody")->outcome, Outcome::unknown_name);
}

TEST(Listeners, AProductsPortsAreOnlyTheWholeTruthWhileNothingMovesThem) {
  const Wired p(R"(services:
  plain: {image: "postgres:17"}
  moved: {image: "postgres:17", environment: {PGPORT: 6432}}
  own: {image: "postgres:17", volumes: ["./pg.conf:/etc/postgresql/postgresql.conf"]}
  flags: {image: "postgres:17", command: ["-p", "6000"]}
)");
  const auto listens = [&](std::string_view name, std::uint16_t port) { return p.wiring.listens(p.wiring.id_of(name), port); };
  EXPECT_EQ(listens("plain", 5432), std::optional<bool>(true));
  EXPECT_EQ(listens("plain", 5433), std::optional<bool>(false));
  EXPECT_EQ(listens("moved", 6432), std::optional<bool>(true));
  EXPECT_EQ(listens("moved", 5432), std::optional<bool>(false));
  EXPECT_EQ(listens("own", 6000), std::nullopt);
  EXPECT_EQ(listens("flags", 6000), std::nullopt);
}

TEST(Datastores, DataIsWhereTheProductPutsIt) {
  const Wired p(R"(services:
  good: {image: "postgres:17", volumes: ["vol-a:/var/lib/postgresql/data"]}
  moved: {image: "postgres:17", environment: {PGDATA: /srv/pg/data}, volumes: ["vol-b:/srv/pg"]}
  wrong: {image: "mariadb:11.4", volumes: ["vol-c:/var/lib/mariadb"]}
  scripts: {image: "postgres:17", volumes: ["vol-d:/backups"]}
  eighteen: {image: "postgres:18", volumes: ["vol-e:/var/lib/postgresql"]}
  eighteen-wrong: {image: "postgres:18-alpine", volumes: ["vol-f:/var/lib/postgresql/data"]}
volumes: {vol-a: , vol-b: , vol-c: , vol-d: , vol-e: , vol-f: }
)");
  const auto store = [&](std::string_view name) { return p.wiring.datastore(p.wiring.id_of(name)); };
  EXPECT_NE(store("good")->mount, nullptr);
  EXPECT_EQ(store("moved")->data_path, "/srv/pg/data");
  EXPECT_NE(store("moved")->mount, nullptr);
  EXPECT_TRUE(store("wrong")->wrong_path);
  EXPECT_FALSE(store("scripts")->wrong_path);
  EXPECT_EQ(store("scripts")->mount, nullptr);
  EXPECT_NE(store("eighteen")->mount, nullptr);
  EXPECT_TRUE(store("eighteen-wrong")->wrong_path);
}

TEST(Datastores, ABackupIsAServiceThatMountsTheVolumeOrDumpsTheDatabase) {
  const Wired p(R"(services:
  one: {image: "postgres:17", volumes: ["vol-a:/var/lib/postgresql/data"]}
  two: {image: "postgres:17", volumes: ["vol-b:/var/lib/postgresql/data"]}
  three: {image: "postgres:17", volumes: ["./three:/var/lib/postgresql/data"]}
  four: {image: "postgres:17", volumes: ["vol-c:/var/lib/postgresql/data"]}
  volumes: {image: "offen/docker-volume-backup:v2", volumes: ["vol-a:/backup/a:ro"]}
  dump: {image: "postgres:17", entrypoint: ["sh", "-c", "pg_dump -h two app > /out/x"]}
  kopia: {image: "kopia/kopia:0.18", volumes: ["./:/source:ro"]}
volumes: {vol-a: , vol-b: , vol-c: }
)");
  const auto backup = [&](std::string_view name) {
    std::string out;
    for (const auto id : p.wiring.datastore(p.wiring.id_of(name))->backed_up_by) out += p.wiring.service(id).name;
    return out;
  };
  EXPECT_EQ(backup("one"), "volumes");
  EXPECT_EQ(backup("two"), "dump");
  EXPECT_EQ(backup("three"), "kopia");
  EXPECT_EQ(backup("four"), "");
  EXPECT_EQ(p.wiring.datastore(p.wiring.id_of("dump")), nullptr);
}

TEST(Mounts, SourcesAreLookedAtAndShadowsNamed) {
  const Wired p(R"(services:
  app:
    image: example/app:1
    volumes: ["./app.yaml:/etc/app.yaml", "./missing.yaml:/etc/missing.yaml", "data:/srv", "uploads:/srv/uploads"]
volumes: {data: , uploads: }
-- app.yaml
x: 1
)");
  ASSERT_EQ(p.wiring.mounts.size(), 4U);
  EXPECT_EQ(p.wiring.mounts[0].source.kind, sources::Kind::regular);
  EXPECT_EQ(p.wiring.mounts[1].source.kind, sources::Kind::missing);
  EXPECT_TRUE(p.wiring.mounts[1].looks_like_file);
  ASSERT_EQ(p.wiring.mounts[2].shadows.size(), 1U);
  EXPECT_EQ(p.wiring.mounts[2].shadows[0]->target, "/srv/uploads");
}

TEST(Variables, DefinitionsAreFoundInEnvFilesAndExamples) {
  const Wired p(R"(services:
  app: {image: "example/app:${TAG}", environment: {A: "${ONLY_EXAMPLE:-x}", B: "${NOWHERE:-x}"}}
-- .env
TAG=1
UNUSED=2
-- .env.example
ONLY_EXAMPLE=
)");
  const auto find = [&](std::string_view name) { return std::ranges::find(p.wiring.variables, name, &VariableInfo::name); };
  EXPECT_TRUE(find("TAG")->defined);
  EXPECT_EQ(p.text(find("TAG")->definitions.front()), "TAG");
  EXPECT_TRUE(find("ONLY_EXAMPLE")->documented);
  EXPECT_TRUE(find("NOWHERE")->definitions.empty());
  EXPECT_TRUE(find("UNUSED")->uses.empty());
}

TEST(Profiles, EachAloneNoneAndWhatTheReadmeSays) {
  const Wired p(R"(services:
  app: {image: "example/app:1", profiles: [web, full], depends_on: [db]}
  db: {image: "postgres:17", profiles: [data, full]}
  optional: {image: "example/x:1", depends_on: {db: {condition: service_started, required: false}}}
  solo: {image: "example/x:1", profiles: [a], depends_on: [mate]}
  mate: {image: "example/x:1", profiles: [a]}
-- README.md
Run docker compose --profile web --profile data up
)");
  ASSERT_EQ(p.wiring.profile_troubles.size(), 1U);
  EXPECT_EQ(p.wiring.profile_troubles[0].profiles, std::vector<std::string>{"web"});
  EXPECT_EQ(p.wiring.profile_troubles[0].basis, "profile 'web' alone");
}

TEST(OneShots, AreJobsByDependentOrByName) {
  const Wired p(R"(services:
  app: {image: "example/app:1", depends_on: {load: {condition: service_completed_successfully}}}
  load: {image: "example/app:1"}
  db-init: {image: "example/app:1", restart: "no"}
  trinity: {image: "example/app:1"}
  init-daemon: {image: "example/app:1", restart: always}
)");
  const auto one_shot = [&](std::string_view name) { return p.wiring.one_shot[p.wiring.id_of(name)]; };
  EXPECT_TRUE(one_shot("load"));
  EXPECT_TRUE(one_shot("db-init"));
  EXPECT_FALSE(one_shot("trinity"));
  EXPECT_FALSE(one_shot("init-daemon"));
  EXPECT_FALSE(one_shot("app"));
}

TEST(OneShots, AScriptWithoutALoopEndsByItself) {
  const Wired p(R"(services:
  reconcile: {image: "example/app:1", restart: "no", entrypoint: [bash, -c, "exec bash /opt/reconcile.sh"]}
  dump: {image: "example/db:1", profiles: [backup], entrypoint: [/bin/sh, -c], command: ["pg_dump --host=db --file=/backup/db.dump"]}
  nightly: {image: "example/db:1", entrypoint: [/bin/sh, -c], command: ["while true; do pg_dump --host=db > /backup/db.sql; sleep 86400; done"]}
  waits: {image: "example/app:1", restart: "no", command: [sh, -c, "until ping db; do sleep 1; done; exec serve"]}
  kept: {image: "example/db:1", restart: always, command: [sh, -c, "pg_dump --host=db > /backup/db.sql"]}
)");
  const auto one_shot = [&](std::string_view name) { return p.wiring.one_shot[p.wiring.id_of(name)]; };
  EXPECT_TRUE(one_shot("reconcile"));
  EXPECT_TRUE(one_shot("dump"));
  EXPECT_FALSE(one_shot("nightly"));
  EXPECT_FALSE(one_shot("waits"));
  EXPECT_FALSE(one_shot("kept"));
}

TEST(Datastores, AClientInTheServersImageKeepsNothing) {
  const Wired p(R"(services:
  db: {image: "mongo:8"}
  guard: {image: "mongo:8", entrypoint: [/bin/sh, -c, "while true; do mongosh --host mongodb --eval 'db.roles.find()'; sleep 15; done"]}
  tuned: {image: "mongo:8", entrypoint: [/bin/sh, -c, "mongosh --version; exec mongod --replSet rs0"]}
  probe: {image: "postgres:17", command: [sh, -c, "until pg_isready -h postgres -U postgres; do sleep 1; done"]}
  script: {image: "postgres:17", command: [sh, /start.sh]}
)");
  EXPECT_NE(p.wiring.datastore(p.wiring.id_of("db")), nullptr);
  EXPECT_EQ(p.wiring.datastore(p.wiring.id_of("guard")), nullptr);
  EXPECT_NE(p.wiring.datastore(p.wiring.id_of("tuned")), nullptr);
  EXPECT_EQ(p.wiring.datastore(p.wiring.id_of("probe")), nullptr);
  EXPECT_NE(p.wiring.datastore(p.wiring.id_of("script")), nullptr);
}

TEST(OneShots, AServiceMaySayWhatItIs) {
  const Wired p("services:\n  report: {image: 'example/app:1', x-datamancy: {one_shot: true}}\n  db-init: {image: 'example/app:1', x-datamancy: {one_shot: false}}\n");
  EXPECT_TRUE(p.wiring.one_shot[p.wiring.id_of("report")]);
  EXPECT_FALSE(p.wiring.one_shot[p.wiring.id_of("db-init")]);
}

TEST(Graph, BlastRadiusIsTransitiveAndTheCriticalPathIsTheSlowest) {
  const Wired p(R"(services:
  web: {image: "example/web:1", depends_on: [app]}
  app: {image: "example/app:1", environment: {DB_HOST: db}, depends_on: {db: {condition: service_healthy}}}
  db:
    image: postgres:17
    healthcheck: {test: [CMD, pg_isready], start_period: 60s, interval: 10s, retries: 5}
  alone: {image: "example/x:1"}
)");
  const auto id = [&](std::string_view name) { return p.wiring.id_of(name); };
  EXPECT_EQ(p.wiring.blast_radius(id("db")), (std::vector<ServiceId>{std::min(id("app"), id("web")), std::max(id("app"), id("web"))}));
  EXPECT_TRUE(p.wiring.blast_radius(id("alone")).empty());
  EXPECT_EQ(p.wiring.critical_path, (std::vector<ServiceId>{id("db"), id("app"), id("web")}));
}

TEST(Products, ABuildIsWhatItStartsFrom) {
  const testing::Wired stack(R"(services:
  db:
    build: {context: ./db, args: {V: "17"}}
    image: own/database
  web:
    build: {context: ., dockerfile_inline: "FROM caddy:2"}
  app:
    build: ./missing
-- db/Dockerfile
ARG V=16
FROM postgres:${V} AS base
FROM base
RUN apt-get install -y postgresql-17-cron
)");
  const auto product = [&](std::string_view name) {
    const auto* found = stack.wiring.product_of[stack.wiring.id_of(name)];
    return found == nullptr ? std::string_view() : std::string_view(found->id);
  };
  EXPECT_EQ(product("db"), "postgres");
  EXPECT_EQ(product("web"), "caddy");
  EXPECT_EQ(product("app"), "");
}

}  // namespace
}  // namespace dm::wiring

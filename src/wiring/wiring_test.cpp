#include "wiring/wiring.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compose/load.hpp"

namespace dm::wiring {
namespace {

using Outcome = Reference::Outcome;

/// A project in memory, loaded as the audit loads it.
struct World {
  explicit World(std::string compose, std::string readme = {}) {
    files.add("/p/compose.yaml", std::move(compose));
    if (!readme.empty()) files.add("/p/README.md", std::move(readme));
    compose::Options options;
    options.working_directory = "/p";
    options.lenient = true;
    loaded = compose::load(options, files);
    wiring = wire(*loaded.project, products);
  }
  /// "host:outcome" of the firm references of a service.
  std::vector<std::string> references() const {
    std::vector<std::string> out;
    for (const auto& reference : wiring.references)
      if (reference.firm) out.push_back(reference.host + ":" + std::to_string(static_cast<int>(reference.outcome)));
    return out;
  }
  sources::MemoryFiles files;
  product::Catalogue products;
  compose::Loaded loaded;
  Wiring wiring;
};

std::string is(std::string_view host, Outcome outcome) { return std::string(host) + ":" + std::to_string(static_cast<int>(outcome)); }

TEST(References, AreFoundInUrlsAndInVariablesThatAreNamedAfterHosts) {
  const World world(R"(services:
  app:
    image: example/app:1
    environment:
      A_URL: redis://:pw@cache:6379/0
      DB_HOST: db
      C_ADDRESS: tcp://gone:1
      D_DSN: jdbc:postgresql://db:5432/x
  cache: {image: example/c:1}
  db: {image: example/d:1}
)");
  EXPECT_THAT(world.references(), testing::UnorderedElementsAre(is("cache", Outcome::reachable), is("db", Outcome::reachable),
                                                               is("gone", Outcome::unknown_name), is("db", Outcome::reachable)));
}

TEST(Products, AreFoundWhereAMirrorKeepsTheNameAndWhereAServiceSaysSo) {
  const World world(R"(services:
  mirrored: {image: 'registry.example/hub/library/postgres:17'}
  said: {image: 'registry.example/club/db:3', x-datamancy: {product: postgres}}
  said_by_image: {image: 'registry.example/club/kv:3', x-datamancy: {product: 'valkey/valkey:8'}}
  unknown: {image: 'registry.example/club/db:3'}
)");
  std::vector<std::string> found;
  for (const auto* product : world.wiring.product_of) found.push_back(product == nullptr ? "-" : std::string(product->name));
  EXPECT_THAT(found, testing::ElementsAre("PostgreSQL", "PostgreSQL", "Valkey", "-"));
}

TEST(References, AreNotSeenInWhatOnlyLooksLikeAHost) {
  const World world(R"(services:
  app:
    image: example/app:1
    environment:
      TZ: Europe/Berlin
      IMAGE: registry/app:1.2
      ADMIN_EMAIL_ADDRESS: me@example.org
      LISTEN_ADDRESS: 0.0.0.0:80
      CACHE_HOST: ${UNSET_VARIABLE}
      SOCKET_HOST: /run/x.sock
)");
  EXPECT_THAT(world.references(), testing::IsEmpty());
}

TEST(References, OnExternalNetworksAreUnknownNotWrong) {
  const World world(R"(services:
  app:
    image: example/app:1
    environment: {DB_HOST: elsewhere}
    networks: [shared]
networks: {shared: {external: true}}
)");
  EXPECT_THAT(world.references(), testing::ElementsAre(is("elsewhere", Outcome::external)));
}

TEST(Profiles, AreCheckedAloneAndAsTheDocumentsUseThem) {
  const std::string compose = R"(services:
  a: {image: example/a:1, profiles: [x], depends_on: [b]}
  b: {image: example/b:1, profiles: [y]}
)";
  const World world(compose, "docker compose --profile x --profile y up\n");
  ASSERT_EQ(world.wiring.profile_troubles.size(), 1U);
  EXPECT_EQ(world.wiring.profile_troubles[0].basis, "profile 'x' alone");
}

TEST(Graph, BlastRadiusIsTransitiveAndTheCriticalPathFollowsTheHealthBudget) {
  const World world(R"(services:
  web: {image: example/w:1, depends_on: [app]}
  app: {image: example/a:1, environment: {DB_HOST: db}, depends_on: [db]}
  db: {image: example/d:1, healthcheck: {test: [CMD, check], interval: 10s, retries: 5}}
  other: {image: example/o:1}
)");
  const auto db = world.wiring.id_of("db");
  EXPECT_EQ(world.wiring.blast_radius(db).size(), 2U);
  std::vector<std::string_view> path;
  for (const auto id : world.wiring.critical_path) path.push_back(world.wiring.service(id).name);
  EXPECT_THAT(path, testing::ElementsAre("db", "app", "web"));
}

TEST(Datastores, KnowWhichMountHoldsTheirData) {
  const World world(R"(services:
  moved:
    image: postgres:17
    environment: {PGDATA: /srv/pg}
    volumes: ["data:/srv"]
  lost: {image: mariadb:11}
volumes: {data: }
)");
  ASSERT_EQ(world.wiring.datastores.size(), 2U);
  ASSERT_NE(world.wiring.datastores[0].mount, nullptr);
  EXPECT_EQ(world.wiring.datastores[0].mount->target, "/srv");
  EXPECT_EQ(world.wiring.datastores[1].mount, nullptr);
}

}  // namespace
}  // namespace dm::wiring

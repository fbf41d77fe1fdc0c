#include "readiness/observed.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace dm::readiness {
namespace {

bool proves(const facts::Facts& facts, std::string_view control) {
  const auto proofs = observed_proofs(facts);
  return std::ranges::any_of(proofs, [&](const auto& proof) { return proof.control == control && proof.result == state::Outcome::verified; });
}

TEST(Observed, ALookProvesOnlyWhatItSaw) {
  facts::Facts facts;
  facts.observed = 1000;
  EXPECT_TRUE(observed_proofs(facts).empty());  // nothing seen
  facts.containers.push_back([] { facts::Container one; one.service = "web"; one.state = "running"; one.health = "healthy"; one.memory_limit = 1; return one; }());
  EXPECT_TRUE(proves(facts, "R42") && proves(facts, "R47") && proves(facts, "R50"));
  EXPECT_FALSE(proves(facts, "R52"));  // no disk was looked at
  EXPECT_EQ(observed_proofs(facts).front().expires, 1000 + kLookHolds);
}

TEST(Observed, FilesAreAppliedOnlyWhereEveryServiceRunsWithTheirHash) {
  facts::Facts facts;
  const auto runs = [](std::string service, std::string hash) {
    facts::Container one;
    one.service = std::move(service);
    one.state = "running";
    one.config_hash = std::move(hash);
    return one;
  };
  facts.containers = {runs("web", "a"), runs("db", "b")};
  EXPECT_FALSE(proves(facts, kApplied));  // Compose was not asked
  facts.config_hashes = {{"web", "a"}, {"db", "b"}};
  EXPECT_TRUE(proves(facts, kApplied));
  facts.config_hashes["cache"] = "c";
  EXPECT_FALSE(proves(facts, kApplied));  // a service that does not run
  facts.config_hashes.erase("cache");
  facts.containers.push_back(runs("web", "older"));
  EXPECT_FALSE(proves(facts, kApplied));
}

TEST(Observed, WhatIsStillStartingOrHasNoLimitIsNotProven) {
  facts::Facts facts;
  facts.containers.push_back([] { facts::Container one; one.service = "web"; one.state = "running"; one.health = "starting"; return one; }());
  EXPECT_FALSE(proves(facts, "R42"));
  EXPECT_FALSE(proves(facts, "R47"));
}

}  // namespace
}  // namespace dm::readiness

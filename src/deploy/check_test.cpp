#include "deploy/check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "wiring/testing.hpp"

namespace dm::deploy {
namespace {

using ::testing::HasSubstr;

CheckItem item(const std::vector<CheckItem>& items, std::string_view id) {
  const auto found = std::ranges::find(items, id, &CheckItem::id);
  return found == items.end() ? CheckItem{} : *found;
}

state::Proof proof(const char* control, const char* subject, state::Outcome result = state::Outcome::verified) {
  return {.control = control, .subject = subject, .result = result, .evidence = "run 7", .made = 100, .expires = 1000};
}

TEST(Check, EveryDatastoreHasToBeProvenToComeBack) {
  const wiring::testing::Wired wired("name: p\nservices:\n  db: {image: 'postgres:17', volumes: ['d:/var/lib/postgresql/data']}\n  shop: {image: 'mariadb:11', volumes: ['m:/var/lib/mysql']}\n"
                                     "volumes: {d: {}, m: {}}\n");
  const std::set<std::string, std::less<>> services{"db", "shop"};
  CheckInput input{.wiring = wired.wiring, .services = services};
  input.now = 200;
  EXPECT_EQ(item(check(input), "O34").answer, Answer::unknown);
  input.proofs = {proof("backup.verify", ""), proof("drill.restore", "db")};
  auto o34 = item(check(input), "O34");
  EXPECT_EQ(o34.answer, Answer::unknown);
  EXPECT_THAT(o34.evidence, HasSubstr("1 of 2 datastores"));
  EXPECT_THAT(o34.details, ::testing::ElementsAre("shop: restore never done"));
  input.proofs.push_back(proof("drill.restore", "shop"));
  EXPECT_EQ(item(check(input), "O34").answer, Answer::pass);
  input.proofs.back().result = state::Outcome::failed;
  EXPECT_EQ(item(check(input), "O34").answer, Answer::fail);
  input.proofs.back() = proof("drill.restore", "shop");
  input.now = 2000;
  EXPECT_EQ(item(check(input), "O34").answer, Answer::unknown) << "proofs that have run out";

  input.now = 200;
  input.proofs = {proof("drill.restore", "db")};
  o34 = item(check(input), "O34");
  EXPECT_EQ(o34.answer, Answer::unknown) << "one of two came back";
  input.proofs.push_back(proof("drill.restore", "shop"));
  o34 = item(check(input), "O34");
  EXPECT_EQ(o34.answer, Answer::pass) << "what came back equal was saved";
  EXPECT_THAT(o34.evidence, HasSubstr("what was restored came out of it"));
  input.proofs.push_back(proof("backup.verify", ""));
  input.proofs.back().result = state::Outcome::failed;
  EXPECT_EQ(item(check(input), "O34").answer, Answer::fail) << "a repository that cannot be read back";

  // As the report judges them: neither what was proven of a service that is gone counts, nor what has run out.
  input.proofs = {proof("drill.restore", "db"), proof("drill.restore", "gone"), proof("drill.restore", "shop"), proof("backup.verify", "")};
  input.proofs[1].result = state::Outcome::failed;
  EXPECT_EQ(item(check(input), "O34").answer, Answer::pass) << "of a service that is gone";
  input.proofs[1] = proof("drill.restore", "volume:media");
  input.proofs[1].expires = 150;
  o34 = item(check(input), "O34");
  EXPECT_EQ(o34.answer, Answer::unknown) << "a volume's that has run out";
  EXPECT_THAT(o34.evidence, HasSubstr("restore: expired"));
  input.proofs[1].result = state::Outcome::failed;
  EXPECT_EQ(item(check(input), "O34").answer, Answer::unknown) << "a failure that has run out";
}

}  // namespace
}  // namespace dm::deploy

#include "backup/runner.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "engine/fake.hpp"

namespace dm::backup {
namespace {

/// In memory. A snapshot's id is a number, its time too.
class Shelf final : public Repository {
 public:
  Shelf() : Repository(Location{.name = "shelf", .kind = "restic", .url = "/shelf", .password = "x"}) {}
  Result<std::string> program(const Deadline&) override { return std::string("shelf 1"); }
  Result<bool> exists(const Deadline&) override { return true; }
  Result<void> create(const Deadline&) override { return {}; }
  Result<Stored> store(const StoreRequest& request, const Source& source, const Deadline&) override {
    if (before_reading && !request.path.ends_with("manifest.json")) before_reading();
    std::string text;
    while (true) {
      DM_TRY(const auto piece, source());
      if (piece.empty()) break;
      text += piece;
    }
    return Stored{put(request.path, request.tags, text, unix_now()), text.size(), text.size()};
  }
  std::string put(const std::string& path, std::vector<std::string> tags, std::string text, std::int64_t time) {
    const std::lock_guard lock(mutex);
    Snapshot snapshot;
    snapshot.id = std::to_string(++last);
    snapshot.path = path;
    snapshot.host = "shop";
    snapshot.tags = std::move(tags);
    snapshot.time = time;
    snapshots.push_back(snapshot);
    texts[snapshot.id] = std::move(text);
    return snapshot.id;
  }
  Result<std::vector<Snapshot>> list(const Deadline&) override { return snapshots; }
  Result<void> fetch(const Snapshot& snapshot, const Sink& sink, const Deadline&) override {
    fetched.push_back(snapshot.id);
    if (const auto trouble = troubles.find(snapshot.id); trouble != troubles.end()) return fail(trouble->second);
    return sink(texts[snapshot.id]);
  }
  Result<CheckReport> check(Depth, const Deadline&) override { return CheckReport{}; }
  Result<void> remove(const std::vector<std::string>& ids, bool, const Deadline&) override {
    std::erase_if(snapshots, [&](const Snapshot& one) { return std::ranges::find(ids, one.id) != ids.end(); });
    return {};
  }
  Result<void> copy(const std::vector<std::string>&, Repository&, const Deadline&) override { return {}; }
  Result<Usage> usage(const Deadline&) override { return Usage{}; }
  Result<void> unlock(const Deadline&) override { return {}; }
  Result<void> change_password(const std::string&, const Deadline&) override { return {}; }

  /// A run of `streams` (paths; one that begins with ! is kept in the manifest), `age` days old.
  Manifest add_run(const std::string& name, std::int64_t age, const std::vector<std::string>& streams) {
    Manifest run;
    run.run = name;
    run.project = "shop";
    const auto time = unix_now() - age * 86400;
    run.started = time;
    for (const auto& stream : streams) {
      Saved saved;
      saved.subject = "db";
      saved.outcome = Outcome::verified;
      saved.inside = stream.starts_with('!');
      saved.item = saved.inside ? stream.substr(1) : stream;
      saved.path = "/shop/db/" + saved.item;
      if (saved.inside) saved.content = "roles";
      else saved.snapshot = put(saved.path, {"run=" + name}, "data", time);
      run.saved.push_back(std::move(saved));
    }
    const auto id = put("/shop/manifest.json", {"run=" + name, "manifest"}, run.whole(), time + 1);
    return Manifest::parse(run.whole(), id).value();
  }
  std::vector<std::string> runs() {
    std::vector<std::string> out;
    const auto past = history(*this, "shop", 100, {});
    for (const auto& run : past->runs) out.push_back(run.run);
    return out;
  }

  std::mutex mutex;
  int last = 0;
  std::vector<Snapshot> snapshots;
  std::map<std::string, std::string> texts;
  std::map<std::string, Error> troubles;
  std::vector<std::string> fetched;
  std::function<void()> before_reading;
};

struct Folder {
  std::string path = [] {
    std::string name = "/tmp/datamancy-runner-XXXXXX";
    return std::string(::mkdtemp(name.data()));
  }();
  ~Folder() { std::filesystem::remove_all(path); }
};

/// One volume whose service is paused meanwhile; larger than what fits between the copy and the repository.
Inventory one_volume(const std::string& path, const std::string& container, std::int64_t limit) {
  std::ofstream(path + "/large") << std::string(24U << 20U, 'x');
  Subject subject;
  subject.what = Subject::What::volume;
  subject.id = "volume:data";
  subject.services = {"app"};
  subject.still = {{.container = container}};
  subject.still_limit = limit;
  subject.quiesce = {"app: pause, by its label"};
  subject.target.project = "shop";
  subject.target.kind = "tree";
  subject.target.facts = {{"path", path}};
  Inventory out;
  out.project = "shop";
  out.subjects = {subject};
  return out;
}

TEST(Run, AServiceGoesOnAfterItsLimitThoughTheUploadDoesNotMoveAndTheCopyIsNotVerified) {
  engine::FakeEngine engine;
  const auto container = engine.add_container("app", "x");
  Folder folder;
  Shelf shelf;
  bool stood = false;
  shelf.before_reading = [&] {
    while (!stood || engine.container(container, {})->paused) {  // the network is lost until it goes on
      stood = stood || engine.container(container, {})->paused;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  const auto inventory = one_volume(folder.path, container, 1);
  ASSERT_EQ(standstills(inventory, {}).size(), 1U);
  EXPECT_NE(standstills(inventory, {})[0].find("volume:data is copied, for 1 s at most (app: pause"), std::string::npos);
  const auto run = run_backup(engine, inventory, shelf, {}, {});
  ASSERT_TRUE(run) << run.error().describe();
  EXPECT_EQ(run->saved[0].outcome, Outcome::could_not_verify);
  EXPECT_NE(run->saved[0].trouble.find("not of one moment"), std::string::npos);
  EXPECT_FALSE(engine.container(container, {})->paused);
}

TEST(Run, WithinItsLimitItIsVerifiedAndGoesOn) {
  engine::FakeEngine engine;
  const auto container = engine.add_container("app", "x");
  Folder folder;
  Shelf shelf;
  const auto run = run_backup(engine, one_volume(folder.path, container, 300), shelf, {}, {});
  ASSERT_TRUE(run);
  EXPECT_EQ(run->saved[0].outcome, Outcome::verified) << run->saved[0].trouble;
  EXPECT_FALSE(engine.container(container, {})->paused);
  EXPECT_EQ(std::ranges::count(engine.calls(), "unpause app"), 1);
}

TEST(Run, WhatStandsStillIsAskedAgainWhereTheEngineDoesNotLetItGoOn) {
  engine::FakeEngine engine;
  const auto container = engine.add_container("app", "x");
  engine.fail_next("unpause", {Errc::timeout, "busy", {}});
  std::vector<Still> stills{{.container = container}};
  Quiesce quiesce(engine, stills, "");
  ASSERT_TRUE(quiesce.begin({}));
  EXPECT_FALSE(quiesce.end());
  EXPECT_TRUE(quiesce.end());
  EXPECT_FALSE(engine.container(container, {})->paused);
}

TEST(Verify, WhatIsKeptInTheManifestIsReadFromTheRepositoryAndNotFromWhatTheRunRemembers) {
  Shelf shelf;
  auto run = shelf.add_run("r", 0, {"!roles.sql"});
  run.saved[0].content.reset();  // as after a run of ours
  run.saved[0].target.kind = "postgres";
  run.saved[0].target.project = "shop";
  (void)read_back(shelf, run.saved[0], {}, {});
  EXPECT_EQ(shelf.fetched.size(), 1U);
}

TEST(Retention, WhatIsKeptInTheManifestByNowGoesWithTheDataThatItWasSavedWith) {
  Shelf shelf;
  shelf.add_run("old1", 40, {"shop.sql", "roles.sql"});
  shelf.add_run("old2", 39, {"shop.sql", "roles.sql"});
  shelf.add_run("new1", 2, {"shop.sql", "!roles.sql"});
  shelf.add_run("new2", 1, {"shop.sql", "!roles.sql"});
  const Retention two{.latest = 3, .hourly = 0, .daily = 0, .weekly = 0, .monthly = 0, .annual = 0};
  const auto gone = apply_retention(shelf, "shop", two, false, {});
  ASSERT_TRUE(gone) << gone.error().describe();
  EXPECT_EQ(shelf.runs(), (std::vector<std::string>{"new2", "new1", "old2"}));
  EXPECT_EQ(std::ranges::count(shelf.snapshots, std::string("/shop/db/roles.sql"), &Snapshot::path), 1);  // that of old2
}

TEST(Retention, RunsThatHaveNothingElseAreJudgedByTheirOwnAge) {
  Shelf shelf;
  shelf.add_run("gone-service", 40, {"removed.sql"});
  shelf.add_run("new", 1, {"shop.sql"});
  const auto gone = apply_retention(shelf, "shop", {}, false, {});
  ASSERT_TRUE(gone);
  EXPECT_EQ(shelf.runs(), (std::vector<std::string>{"new", "gone-service"}));
}

TEST(History, ARepositoryThatDoesNotAnswerHasNoOlderRunToOffer) {
  Shelf shelf;
  shelf.add_run("yesterday", 1, {"shop.sql"});
  shelf.add_run("today", 0, {"shop.sql"});
  shelf.troubles[shelf.snapshots.back().id] = {Errc::timeout, "given up", {}};
  const auto past = history(shelf, "shop", 20, {});
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().code, Errc::timeout);
}

TEST(History, ANewerManifestThatCannotBeReadIsNamedAndAnOlderOneIsNot) {
  Shelf shelf;
  shelf.add_run("oldest", 3, {"shop.sql"});
  shelf.texts[shelf.snapshots.back().id] = "{";
  shelf.add_run("yesterday", 1, {"shop.sql"});
  shelf.add_run("today", 0, {"shop.sql"});
  shelf.texts[shelf.snapshots.back().id] = R"({"version": 9})";
  const auto past = history(shelf, "shop", 20, {});
  ASSERT_TRUE(past);
  const auto* run = past->find("");
  ASSERT_EQ(run->run, "yesterday");
  EXPECT_EQ(past->passed_over(run), "run today cannot be read (a manifest of version 9 was written by a newer program)");
  EXPECT_EQ(past->passed_over(run, [](std::int64_t) { return false; }), "");
}

TEST(Copies, OfACopyAreThereThoughTheManifestHasAThirdName) {
  Shelf first, far;
  const auto run = first.add_run("r", 1, {"shop.sql", "!roles.sql"});
  far.last = 100;
  for (auto snapshot : first.snapshots) {
    const auto id = far.put(snapshot.path, snapshot.tags, first.texts[snapshot.id], snapshot.time);
    far.snapshots.back().original = snapshot.path.ends_with("manifest.json") ? "of the first" : snapshot.id;
  }
  EXPECT_TRUE(arrived(far, "shop", run, {}));
  std::erase_if(far.snapshots, [](const Snapshot& one) { return one.path.ends_with("shop.sql"); });
  EXPECT_FALSE(arrived(far, "shop", run, {}));
}

TEST(Verify, OneRepositoryThatDoesNotAnswerIsWaitedForOnce) {
  Shelf shelf;
  const auto run = shelf.add_run("r", 0, {"a.sql", "b.sql", "c.sql"});
  for (auto saved : run.saved) shelf.troubles[saved.snapshot] = {Errc::timeout, "given up", {}};
  auto of_postgres = run;
  for (auto& saved : of_postgres.saved) saved.target.kind = "postgres";
  const auto verdicts = verify(shelf, of_postgres, Depth::structure, 86400, {}, {});
  EXPECT_EQ(shelf.fetched.size(), 1U);
  EXPECT_EQ(std::ranges::count(verdicts, Outcome::could_not_verify, &Verdict::outcome), 3);
}

}  // namespace
}  // namespace dm::backup

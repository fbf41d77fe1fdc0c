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
  Manifest add_run(const std::string& name, std::int64_t age, const std::vector<std::string>& streams, bool partial = false, Outcome outcome = Outcome::verified) {
    Manifest run;
    run.partial = partial;
    std::vector<std::string> tags{"run=" + name};
    if (partial) tags.emplace_back(kOfAPart);
    run.run = name;
    run.project = "shop";
    const auto time = unix_now() - age * 86400;
    run.started = time;
    for (const auto& stream : streams) {
      Saved saved;
      saved.subject = "db";
      saved.outcome = outcome;
      saved.inside = stream.starts_with('!');
      saved.item = saved.inside ? stream.substr(1) : stream;
      saved.path = "/shop/db/" + saved.item;
      if (saved.inside) saved.content = "roles";
      else saved.snapshot = put(saved.path, tags, "data", time);
      run.saved.push_back(std::move(saved));
    }
    tags.emplace_back("manifest");
    const auto id = put("/shop/manifest.json", tags, run.whole(), time + 1);
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

constexpr Retention kOne{.latest = 1, .hourly = 0, .daily = 0, .weekly = 0, .monthly = 0, .annual = 0};

/// Whether every stream that the run's manifest names is there.
bool has_all(const Shelf& shelf, const Manifest& run) {
  return std::ranges::all_of(run.saved, [&](const Saved& saved) { return saved.inside || std::ranges::find(shelf.snapshots, saved.snapshot, &Snapshot::id) != shelf.snapshots.end(); });
}

TEST(Retention, RunsOfAPartTakeNoStreamFromTheNewestWholeRun) {
  Shelf shelf;
  const auto whole = shelf.add_run("whole", 2, {"shop.sql", "files.tar", "!roles.sql"});
  shelf.add_run("part1", 1, {"shop.sql"}, true);
  shelf.add_run("part2", 0, {"shop.sql"}, true);
  ASSERT_TRUE(apply_retention(shelf, "shop", kOne, false, {}));
  EXPECT_EQ(shelf.runs(), (std::vector<std::string>{"part2", "whole"}));
  EXPECT_TRUE(has_all(shelf, whole));
}

TEST(Retention, TheNewestVerifiedWholeRunStaysThoughOneThatIsNotVerifiedAndOneOfAPartCameAfterIt) {
  Shelf shelf;
  const auto good = shelf.add_run("good", 3, {"shop.sql", "files.tar"});
  shelf.add_run("torn", 2, {"shop.sql", "files.tar"}, false, Outcome::could_not_verify);
  shelf.add_run("part", 1, {"shop.sql"}, true);
  ASSERT_TRUE(apply_retention(shelf, "shop", kOne, false, {}));
  EXPECT_TRUE(has_all(shelf, good));
  EXPECT_EQ(shelf.runs().back(), "good");
}

TEST(Retention, AWholeRunThatIsAllInItsManifestStaysBesideRunsOfAPart) {
  Shelf shelf;
  shelf.add_run("whole", 2, {"!roles.sql"});
  shelf.add_run("part1", 1, {"!roles.sql"}, true);
  shelf.add_run("part2", 0, {"!roles.sql"}, true);
  ASSERT_TRUE(apply_retention(shelf, "shop", kOne, false, {}));
  EXPECT_EQ(shelf.runs(), (std::vector<std::string>{"part2", "whole"}));
}

TEST(Retention, OfAPeriodTheLastWholeRunIsKeptAndNotWhatWasSavedOfAPartAfterIt) {
  Shelf shelf;
  const auto monday = shelf.add_run("monday", 9, {"shop.sql", "files.tar"});
  shelf.add_run("monday-part", 9, {"shop.sql"}, true);
  shelf.add_run("today", 0, {"shop.sql", "files.tar"});
  ASSERT_TRUE(apply_retention(shelf, "shop", {.latest = 1, .hourly = 0, .daily = 30, .weekly = 0, .monthly = 0, .annual = 0}, false, {}));
  EXPECT_TRUE(has_all(shelf, monday));
}

TEST(Retention, TheStreamsOfARunBelongToTheHourInWhichItBegan) {
  Shelf shelf;
  const auto first = shelf.add_run("20260302T015950Z-00000001", 0, {"shop.sql", "files.tar"});
  shelf.add_run("20260302T025000Z-00000002", 0, {"shop.sql", "files.tar"});
  shelf.add_run("20260302T040000Z-00000003", 0, {"shop.sql", "files.tar"});
  // The first one's second stream came after the full hour.
  const std::int64_t two = 1772416800;
  const std::int64_t times[] = {two - 5, two + 30, two + 31, two + 3000, two + 3001, two + 3002, two + 7200, two + 7201, two + 7202};
  for (std::size_t i = 0; i < shelf.snapshots.size(); ++i) shelf.snapshots[i].time = times[i];
  ASSERT_TRUE(apply_retention(shelf, "shop", {.latest = 1, .hourly = 24, .daily = 0, .weekly = 0, .monthly = 0, .annual = 0}, false, {}));
  EXPECT_TRUE(has_all(shelf, first));
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

TEST(History, TheNewestWholeRunIsFoundBehindAnyNumberOfPartsAndNothingOlderIsRead) {
  Shelf shelf;
  shelf.add_run("old", 60, {"shop.sql"});
  shelf.add_run("whole", 50, {"shop.sql"});
  for (int i = 0; i < 40; ++i) shelf.add_run("part" + std::to_string(i), 40 - i, {"shop.sql"}, true);
  const auto past = history(shelf, "shop", kAllRuns, {}, found_by(""));
  ASSERT_TRUE(past);
  EXPECT_EQ(past->find("")->run, "whole");
  EXPECT_EQ(shelf.fetched.size(), 41U);
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

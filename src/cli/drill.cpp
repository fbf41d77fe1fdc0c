/// drill restore: proves that the backups come back, and come back equal.
#include "drill/restore.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>

#include "base/json.hpp"
#include "cli/backup.hpp"
#include "cli/drill_stack.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

int restore_drill(Args& args) {
  BackupSession session;
  const bool all = args.has("--all");
  const bool random = args.has("--random");
  std::string run_name, tier;
  args.option("--run", run_name);
  args.option("--tier", tier);
  if (!tier.empty() && !backup::is_tier(tier)) {
    fmt::print(stderr, "datamancy: --tier is critical, standard or low\n");
    return kUsage;
  }
  if (auto opened = open_backup(args, Needs::engine_and_repository, false, session); !opened) return complain(opened.error());
  if (static_cast<int>(all) + static_cast<int>(random && tier.empty()) + static_cast<int>(!tier.empty()) + static_cast<int>(!args.words.empty()) > 1) {
    fmt::print(stderr, "datamancy: names, --all, --tier and --random each say what to restore: give one of them (only --random goes with --tier)\n");
    return kUsage;
  }
  for (const auto& word : args.words)
    if (word.starts_with('-')) {
      fmt::print(stderr, "datamancy: drill restore does not know '{}'\n", word);
      return kUsage;
    }
  if (!all && !random && tier.empty() && args.words.empty()) {
    fmt::print(stderr, "datamancy: name what to restore, or --random, --tier TIER or --all; 'datamancy backup coverage' lists what there is\n");
    return kUsage;
  }
  const auto lock = state::lock_store(session.store, "drill restore", session.within(std::chrono::seconds(10)));
  if (!lock) return complain(lock.error());
  if (const auto left = drill::clean_up(*session.engine, session.project, session.within(std::chrono::minutes(2))); !left) return complain(left.error());
  else if (*left > 0) fmt::print(stderr, "datamancy: removed {} things that an interrupted drill had left\n", *left);
  auto history = backup::history(*session.repository, session.project, backup::kAllRuns, session.within(std::chrono::minutes(10)), backup::found_by(run_name));
  if (!history) return complain(history.error());
  const auto* found = history->find(run_name);
  if (found == nullptr) return complain({Errc::not_found, fmt::format("there is no run to restore in {}", session.repository->location().url), {}});
  const auto& run = *found;
  const auto past = run_name.empty() ? history->passed_over(found) : std::string();
  if (!past.empty()) fmt::print(stderr, "datamancy: {}; an older run is restored\n", past);
  std::vector<std::string> subjects;
  std::map<std::string, std::string> tiers;
  for (const auto& saved : run.saved) {
    if (std::ranges::find(subjects, saved.subject) == subjects.end()) subjects.push_back(saved.subject);
    tiers[saved.subject] = backup::tier_of(saved.target);
  }
  if (!tier.empty()) {
    std::erase_if(subjects, [&](const std::string& subject) { return tiers[subject] != tier; });
    if (subjects.empty()) return complain({Errc::not_found, fmt::format("nothing in run {} is of the tier {}", run.run, tier), {}});
  }
  if (random && !subjects.empty()) {
    // What little depends on is left to the drill of all, unless there is nothing else.
    auto others = subjects;
    std::erase_if(others, [&](const std::string& subject) { return tiers[subject] == backup::kLow; });
    if (!others.empty()) subjects = std::move(others);
    std::random_device device;
    subjects = {subjects[device() % subjects.size()]};
  } else if (!all && tier.empty()) {
    for (const auto& word : args.words)
      if (std::ranges::find(subjects, word) == subjects.end()) return complain({Errc::not_found, fmt::format("'{}' is not in run {}; it has {}", word, run.run, fmt::join(subjects, ", ")), {}});
    subjects = args.words;
  }
  drill::Objectives objectives;
  objectives.point = session.settings.objective;
  auto worst = subjects.empty() ? state::Outcome::could_not_verify : state::Outcome::verified;
  const auto begin = Clock::now();
  JsonWriter json;
  json.begin_object().key("run").value(run.run).key("drills").begin_array();
  if (!session.json) fmt::print("run {}  {}\n", run.run, human_time(run.started));
  bool lost = false;
  for (const auto& subject : subjects) {
    if (lost) break;
    if (session.stop.stop_requested()) return kInterrupted;
    const auto entry = session.begin("drill restore", "restore into a stand-in", subject);
    const auto report = drill::restore(*session.engine, *session.repository, run, subject, objectives, progress_of(session), session.within(std::chrono::hours(6)));
    state::finish(*session.db, entry, state::to_string(report.outcome));
    if (session.repository->lost() && report.outcome != state::Outcome::verified) {
      if (!session.json) fmt::print("  the repository does not answer: the rest is not tried\n");
      lost = true;
    }
    if (report.outcome == state::Outcome::failed) worst = report.outcome;
    if (report.outcome == state::Outcome::could_not_verify && worst == state::Outcome::verified) worst = report.outcome;
    const auto now = backup::unix_now();
    state::add(*session.db, state::Proof{.control = "drill.restore", .subject = subject, .result = report.outcome, .evidence = fmt::format("run {}: {}", run.run, report.detail), .made = now,
                                         .expires = now + (tiers[subject] == backup::kCritical ? 8 : 35) * 86400, .binding = report.binding, .command = fmt::format("datamancy drill restore {}", subject)});
    if (session.json) {
      json.begin_object().key("subject").value(subject).key("kind").value(report.kind).key("outcome").value(state::to_string(report.outcome)).key("detail").value(report.detail);
      json.key("recovery_seconds").raw(fmt::format("{:.3f}", report.recovery_seconds)).key("age_seconds").value(report.age).key("check").value(report.check).key("items").begin_array();
      for (const auto& item : report.items) {
        json.begin_object().key("item").value(item.item).key("outcome").value(state::to_string(item.outcome)).key("detail").value(item.detail).key("bytes").value(item.bytes);
        json.key("restore_seconds").raw(fmt::format("{:.3f}", item.restore_seconds)).key("compare_seconds").raw(fmt::format("{:.3f}", item.compare_seconds)).end();
      }
      json.end().end();
    } else {
      fmt::print("  {:16} {:28} {}\n", state::to_string(report.outcome), subject, report.detail);
      for (const auto& item : report.items)
        fmt::print("                   {:26} {:>9}  restored in {:.1f} s, compared in {:.1f} s: {}\n", item.item, human_bytes(item.bytes), item.restore_seconds, item.compare_seconds, item.detail);
    }
  }
  const auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (session.json) fmt::print("{}\n", json.end().key("outcome").value(state::to_string(worst)).key("seconds").raw(fmt::format("{:.3f}", seconds)).end().take());
  else fmt::print("{} of {} subjects in {:.1f} s\n", state::to_string(worst), subjects.size(), seconds);
  return past.empty() ? status_of(worst) : std::max(status_of(worst), static_cast<int>(kFindings));
}

}  // namespace

int drill(Args& args) {
  if (!args.words.empty() && args.words.front() == "restore") {
    args.words.erase(args.words.begin());
    return restore_drill(args);
  }
  if (!args.words.empty() && args.words.front() == "stack") {
    args.words.erase(args.words.begin());
    return drill_stack(args);
  }
  fmt::print(stderr, "datamancy: drill does not know '{}'; see 'datamancy drill --help'\n", args.words.empty() ? "" : args.words.front());
  return kUsage;
}

}  // namespace dm::cli

/// backup verify, coverage.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "base/json.hpp"
#include "cli/backup.hpp"

namespace dm::cli {
namespace {

/// The newest run, or the one that the word begins.
Result<backup::Manifest> chosen_run(BackupSession& session, const std::string& word, std::string& past) {
  DM_TRY(const auto history, backup::history(*session.repository, session.project, backup::kAllRuns, session.within(std::chrono::minutes(10)), backup::found_by(word)));
  if (const auto* found = history.find(word); found != nullptr) {
    if (word.empty()) past = history.passed_over(found);
    return *found;
  }
  return fail(Errc::not_found, word.empty() ? fmt::format("there is no readable run of '{}' in {}", session.project, session.repository->location().url) : fmt::format("no run is called '{}'", word));
}

/// What this machine remembers of each subject: of the newest run that saved it, be it one of a part.
struct LastSaved {
  struct Subject {
    std::int64_t at = 0;
    bool good = true;
    std::string repository{};
  };
  std::map<std::string, Subject> subjects{};
  std::vector<std::string> uncovered{};
};

LastSaved last_saved(state::Db& db) {
  LastSaved out;
  for (const auto& record : state::backups_since_whole(db, "")) {
    const auto manifest = backup::Manifest::parse(record.manifest);
    if (!manifest) continue;
    std::map<std::string, LastSaved::Subject> here;
    for (const auto& saved : manifest->saved) {
      auto& subject = here[saved.subject];
      subject.at = saved.at;
      subject.good = subject.good && saved.outcome == state::Outcome::verified;
      subject.repository = record.repository;
    }
    for (const auto& line : manifest->uncovered)
      if (!out.subjects.contains(line.substr(0, line.find(": ")))) out.uncovered.push_back(line);
    out.subjects.merge(here);  // what a newer run says stays
  }
  return out;
}

}  // namespace

int backup_verify(Args& args) {
  BackupSession session;
  std::string depth_name = "structure";
  args.option("--depth", depth_name);
  if (args.has("--read-data")) depth_name = "everything";
  if (depth_name != "structure" && depth_name != "sample" && depth_name != "everything") {
    fmt::print(stderr, "datamancy: --depth is structure, sample or everything\n");
    return kUsage;
  }
  if (auto opened = open_backup(args, Needs::repository, false, session); !opened) return complain(opened.error());
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with('-'))) {
    fmt::print(stderr, "datamancy: backup verify does not know '{}'\n", args.words.back());
    return kUsage;
  }
  std::string past;
  const auto run = chosen_run(session, args.words.empty() ? "" : args.words[0], past);
  if (!run) return complain(run.error());
  const auto depth = depth_name == "everything" ? backup::Depth::everything : depth_name == "sample" ? backup::Depth::sample : backup::Depth::structure;
  auto verdicts = backup::verify(*session.repository, *run, depth, session.settings.objective, progress_of(session), session.within(std::chrono::hours(24)));
  if (!past.empty()) verdicts.push_back({"newer runs", state::Outcome::failed, past});
  auto worst = state::Outcome::verified;
  for (const auto& verdict : verdicts) {
    if (verdict.outcome == state::Outcome::failed) worst = state::Outcome::failed;
    if (verdict.outcome == state::Outcome::could_not_verify && worst == state::Outcome::verified) worst = verdict.outcome;
  }
  if (session.json) {
    JsonWriter json;
    json.begin_object().key("run").value(run->run).key("outcome").value(state::to_string(worst)).key("checks").begin_array();
    for (const auto& verdict : verdicts) json.begin_object().key("what").value(verdict.what).key("outcome").value(state::to_string(verdict.outcome)).key("detail").value(verdict.detail).end();
    json.end().end();
    fmt::print("{}\n", json.take());
  } else {
    fmt::print("{}  {}\n", run->run, human_time(run->started));
    for (const auto& verdict : verdicts) fmt::print("  {:16} {:34} {}\n", state::to_string(verdict.outcome), verdict.what, verdict.detail);
    fmt::print("{}\n", state::to_string(worst));
  }
  const auto now = backup::unix_now();
  state::add(*session.db, state::Proof{.control = "backup.verify", .subject = "", .result = worst, .evidence = fmt::format("run {}: {} streams, depth {}", run->run, run->saved.size(), depth_name),
                                       .made = now, .expires = now + 8 * 86400, .binding = {.engine = run->engine}, .command = "datamancy backup verify"});
  return status_of(worst);
}

int backup_coverage(Args& args) {
  BackupSession session;
  if (auto opened = open_backup(args, Needs::engine, false, session); !opened) return complain(opened.error());
  if (!args.words.empty()) {
    fmt::print(stderr, "datamancy: backup coverage does not know '{}'\n", args.words.front());
    return kUsage;
  }
  const auto inventory = session.inventory();
  if (!inventory) return complain(inventory.error());
  const auto last = last_saved(*session.db);
  std::size_t findings = 0;
  struct Row {
    std::string id, how, often, where, last, proven, finding, tier;
    std::vector<std::string> quiesce;
  };
  std::vector<Row> rows;
  const auto now = backup::unix_now();
  for (const auto& subject : inventory->subjects) {
    Row row;
    row.id = subject.id;
    const auto* driver = backup::driver_of(subject.target.kind);
    const bool datastore = subject.what == backup::Subject::What::datastore;
    row.how = driver != nullptr ? std::string(driver->title()) : "no driver";
    row.quiesce = subject.quiesce;
    row.tier = backup::tier_of(subject.target);
    if (row.tier != backup::kStandard) row.how += ", " + row.tier;
    row.often = datastore ? session.settings.databases : session.settings.volumes;
    row.where = "-";
    row.last = "never";
    std::int64_t at = 0;
    bool good = false;
    if (const auto found = last.subjects.find(subject.id); found != last.subjects.end()) {
      at = found->second.at;
      good = found->second.good;
      row.where = found->second.repository;
    }
    if (at != 0) row.last = fmt::format("{}{}", human_time(at), good ? "" : ", not verified");
    if (at == 0 || !good) row.finding = at == 0 ? "no backup yet" : "the last backup is not verified";
    else if (now - at > session.settings.objective) row.finding = "older than the objective";
    const auto proof = state::newest_proof(*session.db, "drill.restore", subject.id);
    row.proven = "never";
    if (proof) {
      row.proven = fmt::format("{} {}", human_time(proof->made), state::to_string(proof->result));
      const auto why = state::why_void(*proof, {.engine = session.engine_id, .image = subject.target.image_id, .config = subject.config_hash}, now);
      if (!why.empty()) row.proven += fmt::format(" ({})", why);
      if (row.finding.empty() && why.empty() && proof->result == state::Outcome::failed) row.finding = "it did not come back in the last drill";
    }
    if (!row.finding.empty()) ++findings;
    rows.push_back(std::move(row));
  }
  // What a server keeps and nobody saves is known to whom asked it last.
  auto uncovered = inventory->skipped;
  for (const auto& line : last.uncovered) {
    const auto cut = line.find(": ");
    if (const auto* subject = cut == std::string::npos ? nullptr : inventory->find(line.substr(0, cut)); subject != nullptr)
      uncovered.push_back({.id = subject->id, .services = subject->services, .reason = line.substr(cut + 2)});
  }
  for (const auto& skipped : uncovered) findings += skipped.finding ? 1 : 0;
  if (session.json) {
    JsonWriter json;
    json.begin_object().key("project").value(inventory->project).key("covered").begin_array();
    for (const auto& row : rows) {
      json.begin_object().key("subject").value(row.id).key("how").value(row.how).key("tier").value(row.tier).key("schedule").value(row.often).key("repository").value(row.where);
      json.key("last_backup").value(row.last).key("last_proven").value(row.proven).key("finding").value(row.finding).key("quiesce").begin_array();
      for (const auto& line : row.quiesce) json.value(line);
      json.end().end();
    }
    json.end().key("not_covered").begin_array();
    for (const auto& skipped : uncovered) json.begin_object().key("subject").value(skipped.id).key("reason").value(skipped.reason).key("finding").value(skipped.finding).end();
    json.end().key("findings").value(static_cast<std::uint64_t>(findings)).end();
    fmt::print("{}\n", json.take());
  } else {
    fmt::print("{:34} {:16} {:7} {:10} {:34} {}\n", "what", "how", "when", "where", "last backup", "last restored");
    for (const auto& row : rows) {
      fmt::print("{:34} {:16} {:7} {:10} {:34} {}\n", row.id, row.how, row.often, row.where, row.last, row.proven);
      if (!row.finding.empty()) fmt::print("  finding: {}\n", row.finding);
      for (const auto& line : row.quiesce) fmt::print("  meanwhile {}\n", line);
    }
    for (const bool finding : {true, false})
      for (const auto& skipped : uncovered)
        if (skipped.finding == finding) fmt::print("{:34} {}: {}\n", skipped.id, finding ? "NOT COVERED" : "not saved", skipped.reason);
    fmt::print("{} findings\n", findings);
  }
  return findings > 0 ? kFindings : kClean;
}

}  // namespace dm::cli

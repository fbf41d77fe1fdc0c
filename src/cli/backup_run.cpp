/// backup run, list, show.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "backup/places.hpp"
#include "base/json.hpp"
#include "cli/backup.hpp"
#include "cli/judge.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

void print_run(const backup::Manifest& run, bool details) {
  fmt::print("{}  {}  {}  {} in {} streams\n", run.run, human_time(run.started), state::to_string(run.outcome()), human_bytes(run.bytes()), run.saved.size());
  if (!details) return;
  for (const auto& saved : run.saved) {
    fmt::print("  {:16} {:34} {:>9} {:>11} rows  {}\n", state::to_string(saved.outcome), fmt::format("{}/{}", saved.subject, saved.item), human_bytes(saved.bytes),
               saved.fingerprint.rows(), saved.fingerprint.producer);
    if (!saved.trouble.empty()) fmt::print("                   {}\n", saved.trouble);
    for (const auto& note : saved.notes) fmt::print("                   note: {}\n", note);
  }
  for (const auto& line : run.uncovered) fmt::print("  not covered      {}\n", line);
}

/// Bytes in the repository. In a folder they are counted; elsewhere the repository is asked once a day, and in between grows by what
/// was added, since asking costs as much as a small backup.
std::uint64_t stored_now(BackupSession& session, const backup::Manifest& run, const std::optional<state::BackupRecord>& last) {
  const auto& url = session.repository->location().url;
  if (url.starts_with('/')) {
    std::uint64_t sum = 0;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(url, error), end; !error && at != end; at.increment(error)) {
      std::error_code none;
      if (const auto size = at->is_regular_file(none) ? at->file_size(none) : 0; !none) sum += size;
    }
    if (!error) return sum;
  }
  if (last && last->stored > 0 && last->started / 86400 == run.started / 86400) return last->stored + run.added();
  const auto usage = session.repository->usage(session.within(std::chrono::minutes(10)));
  return usage ? usage->stored : 0;
}

int usage_error(std::string_view part, const std::string& word) {
  fmt::print(stderr, "datamancy: backup {} does not know '{}'; see 'datamancy backup --help'\n", part, word);
  return kUsage;
}

}  // namespace

int backup_run(Args& args) {
  BackupSession session;
  const bool keep = !args.has("--no-forget");
  if (auto opened = open_backup(args, Needs::engine_and_repository, true, session); !opened) return complain(opened.error());
  backup::RunOptions options;
  for (const auto& word : args.words) {
    if (word.starts_with('-')) return usage_error("run", word);
    options.only.push_back(word);
  }
  const auto lock = state::lock_store(session.store, "backup run", session.within(std::chrono::seconds(10)));
  if (!lock) return complain(lock.error());
  options.quiesced = session.store + "/quiesced";
  const auto woken = backup::wake_up(*session.engine, options.quiesced);
  // What stands still is no reason to save nothing of all others; the run says it with its status.
  if (!woken) complain(woken.error());
  else if (*woken > 0) fmt::print(stderr, "datamancy: {} containers go on that an interrupted run had left standing still\n", *woken);
  std::optional<backup::Manifest> previous;
  const auto record = state::newest_backup(*session.db, session.repository->location().name);
  if (record)
    if (auto parsed = backup::Manifest::parse(record->manifest)) previous = *std::move(parsed);
  options.previous = previous ? &*previous : nullptr;
  const auto whole_before = state::backups_since_whole(*session.db, session.repository->location().name);
  const auto limit = session.within(std::chrono::hours(24));
  backup::Places places(*session.repository, session.project, !options.only.empty(), limit);
  options.places = &places;
  if (previous && options.only.empty()) places.expect(*previous);
  const auto inventory = session.inventory();
  if (!inventory) return complain(inventory.error());
  options.progress = progress_of(session);
  options.stack = session.record;
  for (const auto& line : backup::standstills(*inventory, options)) fmt::print(stderr, "datamancy: services stand still {}\n", line);
  const auto entry = session.begin("backup run", "save into " + session.repository->location().name);
  auto run = backup::run_backup(*session.engine, *inventory, *session.repository, options, limit);
  if (!run) {
    state::finish(*session.db, entry, "failed: " + run.error().message);
    return complain(run.error());
  }
  const auto stored = stored_now(session, *run, record);
  state::add(*session.db, state::BackupRecord{run->run, session.repository->location().name, run->started, run->finished, run->outcome(), run->bytes(), run->added(), stored, run->json()});
  state::finish(*session.db, entry, state::to_string(run->outcome()));
  // A whole run that is verified may let older ones go; one of a part only says nothing about the rest. The first of a day is enough.
  std::string kept, unforgotten;
  if (keep && options.only.empty() && run->outcome() == state::Outcome::verified) {
    const auto* settings = session.settings.find(session.repository->location().name);
    const bool forgot_today = !whole_before.empty() && whole_before.back().outcome == backup::Outcome::verified && whole_before.back().started / 86400 == run->started / 86400;
    if (settings != nullptr && settings->append_only) {
      kept = "append-only: nothing is forgotten from this host";
    } else if (session.fresh || forgot_today) {
      kept.clear();
    } else if (auto forgotten = backup::apply_retention(*session.repository, session.project, session.settings.keep, false, session.within(std::chrono::hours(1))); forgotten) {
      if (*forgotten > 0) kept = fmt::format("{} old snapshots forgotten", *forgotten);
    } else {
      unforgotten = "the run is saved, but nothing was forgotten: " + forgotten.error().describe();
      const auto note = session.begin("backup forget", "retention after " + run->run);
      state::finish(*session.db, note, forgotten.error().message);
    }
  } else if (keep && run->outcome() != state::Outcome::verified) {
    kept = "nothing is forgotten after a run that is not verified";
  }
  if (session.json) {
    fmt::print("{}", run->json());
  } else {
    print_run(*run, true);
    if (!kept.empty()) fmt::print("{}\n", kept);
    if (run->outcome() == state::Outcome::verified) fmt::print("every stream was whole; that it can be restored is proven by 'datamancy drill restore --all'\n");
  }
  if (!unforgotten.empty()) fmt::print(stderr, "datamancy: {}\n", unforgotten);
  return woken && unforgotten.empty() ? status_of(run->outcome()) : std::max(status_of(run->outcome()), static_cast<int>(kFindings));
}

int backup_list(Args& args) {
  BackupSession session;
  std::string limit = "50";
  args.option("--limit", limit);
  const auto opened = open_backup(args, Needs::repository, false, session);
  if (!opened && !(session.fresh && session.json)) return complain(opened.error());
  if (!args.words.empty()) return usage_error("list", args.words.front());
  // No repository yet: an empty document, and why on standard error.
  const auto history = opened ? backup::history(*session.repository, session.project, static_cast<std::size_t>(std::max(1, std::atoi(limit.c_str()))), session.within(std::chrono::minutes(10))) : backup::History{};
  if (!opened) fmt::print(stderr, "datamancy: {}\n", opened.error().describe());
  if (!history) return complain(history.error());
  if (session.json) {
    JsonWriter json;
    json.begin_object().key("project").value(session.project).key("repository").value(opened ? session.repository->location().name : "").key("runs").begin_array();
    for (const auto& run : history->runs) {
      json.begin_object().key("run").value(run.run).key("started").value(run.started).key("finished").value(run.finished);
      json.key("outcome").value(state::to_string(run.outcome())).key("streams").value(static_cast<std::uint64_t>(run.saved.size())).key("bytes").value(run.bytes()).key("added").value(run.added()).end();
    }
    json.end().key("interrupted_snapshots").value(static_cast<std::uint64_t>(history->orphans.size())).key("unreadable").value(static_cast<std::uint64_t>(history->unread.size())).end();
    fmt::print("{}\n", json.take());
    return kClean;
  }
  for (const auto& run : history->runs) print_run(run, false);
  if (history->runs.empty()) fmt::print("no run of '{}' in {}\n", session.project, session.repository->location().url);
  if (!history->orphans.empty()) fmt::print("{} snapshots of runs that did not finish: they count as nothing\n", history->orphans.size());
  if (!history->unread.empty()) fmt::print("{} manifests cannot be read\n", history->unread.size());
  return history->unread.empty() ? kClean : kFindings;
}

int backup_show(Args& args) {
  BackupSession session;
  if (auto opened = open_backup(args, Needs::repository, false, session); !opened) return complain(opened.error());
  if (args.words.size() > 1) return usage_error("show", args.words[1]);
  const auto history = backup::history(*session.repository, session.project, args.words.empty() ? 1 : backup::kAllRuns, session.within(std::chrono::minutes(10)), args.words.empty() ? nullptr : backup::found_by(args.words[0]));
  if (!history) return complain(history.error());
  for (const auto& run : history->runs) {
    if (!args.words.empty() && !run.run.starts_with(args.words[0])) continue;
    if (session.json) fmt::print("{}", run.json());
    else print_run(run, true);
    return kClean;
  }
  return complain({Errc::not_found, args.words.empty() ? "there is no run yet" : fmt::format("no run is called '{}'", args.words[0]), {}});
}

}  // namespace dm::cli

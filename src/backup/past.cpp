/// What a repository holds of a project's runs, and which of it may go.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <set>
#include <utility>

#include "backup/runner.hpp"

namespace dm::backup {
namespace {

std::string run_of(const Snapshot& snapshot) {
  for (const auto& tag : snapshot.tags)
    if (tag.starts_with("run=")) return tag.substr(4);
  return {};
}

bool has_tag(const Snapshot& snapshot, std::string_view wanted) { return std::ranges::find(snapshot.tags, wanted) != snapshot.tags.end(); }

/// When its run began, as the run's name says: streams of one run must not end up in different hours or days.
std::int64_t time_of_run(const Snapshot& snapshot) {
  const auto run = run_of(snapshot);
  std::tm parts{};
  const char* rest = ::strptime(run.c_str(), "%Y%m%dT%H%M%SZ", &parts);
  return rest != nullptr && *rest == '-' ? static_cast<std::int64_t>(::timegm(&parts)) : snapshot.time;
}

/// Of one path. Runs of a part are judged apart: one of them in place of a whole run's stream would leave a hole in what else comes back whole.
std::set<std::string> to_drop(const std::vector<Snapshot>& snapshots, const Retention& retention) {
  std::vector<Snapshot> whole, parts;
  for (auto snapshot : snapshots) {
    snapshot.time = time_of_run(snapshot);
    (has_tag(snapshot, kOfAPart) ? parts : whole).push_back(std::move(snapshot));
  }
  std::set<std::string> out;
  for (auto* list : {&whole, &parts})
    for (auto& id : to_forget(std::move(*list), retention)) out.insert(std::move(id));
  return out;
}

}  // namespace

Result<std::string> manifest_text(Repository& repository, const Snapshot& snapshot, const Deadline& deadline) {
  std::string text;
  DM_CHECK(repository.fetch(snapshot, [&](std::string_view piece) -> Result<void> {
    text.append(piece);
    if (text.size() > (256U << 20U)) return fail(Errc::invalid_input, "the manifest is too large");
    return {};
  }, deadline));
  return text;
}

Result<History> history(Repository& repository, std::string_view project, std::size_t limit, const Deadline& deadline, const std::function<bool(const Manifest&)>& enough) {
  DM_TRY(auto listed, repository.list(deadline));
  History out;
  for (auto& snapshot : listed)
    if (snapshot.host == project) out.snapshots.push_back(std::move(snapshot));
  std::vector<Snapshot> manifests;
  std::set<std::string> finished;
  const auto path = manifest_path(project);
  for (const auto& snapshot : out.snapshots) {
    if (snapshot.path != path) continue;
    manifests.push_back(snapshot);
    finished.insert(run_of(snapshot));
  }
  for (const auto& snapshot : out.snapshots)
    if (snapshot.path != path && !finished.contains(run_of(snapshot)) && !run_of(snapshot).empty()) out.orphans.push_back(snapshot);
  std::ranges::sort(manifests, [](const Snapshot& a, const Snapshot& b) { return a.time > b.time; });
  for (const auto& snapshot : manifests) {
    if (out.runs.size() >= limit || (enough && !out.runs.empty() && enough(out.runs.back()))) break;
    const auto text = manifest_text(repository, snapshot, deadline);
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (text && text->empty()) {  // its program was killed before it could say anything
      out.orphans.push_back(snapshot);
      continue;
    }
    // Only what is there and makes no sense is passed over; a repository that does not answer has no history to tell.
    if (!text && text.error().code != Errc::failed && text.error().code != Errc::corrupt && text.error().code != Errc::invalid_input) return during("reading the manifests", Result<History>(fail(text.error())));
    auto parsed = text ? Manifest::parse(*text, snapshot.id) : Result<Manifest>(fail(text.error()));
    if (!parsed) {
      out.unread.push_back({run_of(snapshot), snapshot.time, out.runs.size(), parsed.error().message});
      continue;
    }
    out.runs.push_back(*std::move(parsed));
    out.manifest_ids.push_back(snapshot.id);
  }
  return out;
}

std::function<bool(const Manifest&)> found_by(std::string_view run) {
  return [run = std::string(run)](const Manifest& one) { return run.empty() ? !one.partial : one.run.starts_with(run); };
}

const Manifest* History::find(std::string_view run) const {
  const auto found = std::ranges::find_if(runs, found_by(run));
  if (found != runs.end()) return &*found;
  return run.empty() && !runs.empty() ? &runs.front() : nullptr;
}

std::string History::passed_over(const Manifest* chosen, const std::function<bool(std::int64_t)>& counts) const {
  std::string out;
  for (const auto& one : unread) {
    if (chosen != nullptr && std::cmp_greater(one.newer, chosen - runs.data())) continue;
    if (counts && !counts(one.time)) continue;
    out += fmt::format("{}run {} cannot be read ({})", out.empty() ? "" : "; ", one.run, one.why);
  }
  return out;
}

/// Seen at the target, not believed.
Result<void> arrived(Repository& target, std::string_view project, const Manifest& run, const Deadline& deadline) {
  DM_TRY(const auto there, history(target, project, 1, deadline));
  if (there.runs.empty() || there.runs.front().run != run.run) return fail(Errc::corrupt, "the newest run is not there after the copy");
  for (const auto& saved : run.saved) {
    if (saved.inside) continue;  // it came with the manifest, whose id in a copy of a copy is a third one
    if (std::ranges::none_of(there.snapshots, [&](const Snapshot& snapshot) { return snapshot.id == saved.snapshot || snapshot.original == saved.snapshot; }))
      return fail(Errc::corrupt, fmt::format("{}/{} is not there after the copy", saved.subject, saved.item));
  }
  return {};
}

Result<std::size_t> apply_retention(Repository& repository, std::string_view project, const Retention& retention, bool prune, const Deadline& deadline) {
  DM_TRY(const auto newest, history(repository, project, 1, deadline));
  if (newest.runs.empty()) return fail(Errc::conflict, "nothing is forgotten: there is no readable manifest");
  if (!newest.unread.empty()) return fail(Errc::conflict, "nothing is forgotten: a manifest cannot be read");
  const Manifest& run = newest.runs.front();
  if (run.outcome() != Outcome::verified) return fail(Errc::conflict, fmt::format("nothing is forgotten: the newest run {} is '{}'", run.run, state::to_string(run.outcome())));
  std::map<std::string, std::vector<Snapshot>> by_path;
  for (const auto& snapshot : newest.snapshots) by_path[snapshot.path].push_back(snapshot);
  std::set<std::string> orphans;
  const auto now = unix_now();
  for (const auto& orphan : newest.orphans)
    if (orphan.time < now - 3600) orphans.insert(orphan.id);  // a run of another host may be under way
  std::set<std::string> drop = orphans;
  // A manifest stays as long as one of the snapshots of its run does, so that each of them can be judged.
  std::set<std::string> kept_runs, with_streams;
  const auto path = manifest_path(project);
  // Paths that get no snapshots any more (what is kept in the manifest by now, what was removed) would keep their last ones, and with them their
  // runs, for ever: they go with the data that they were saved with.
  std::set<std::string> named;
  const auto proven = [](const Manifest& one) { return !one.partial && one.outcome() == Outcome::verified; };
  DM_TRY(const auto past, run.partial ? history(repository, project, kAllRuns, deadline, proven) : Result<History>(newest));
  const auto* whole = past.find("");
  if (whole != nullptr && !whole->partial)
    for (const auto& saved : whole->saved)
      if (!saved.inside) named.insert(saved.path);
  // What everything would be brought back from stays, whatever has been saved of a part since.
  const auto verified = std::ranges::find_if(past.runs, proven);
  const auto held = [&](const Snapshot& snapshot) { return verified != past.runs.end() && run_of(snapshot) == verified->run; };
  std::vector<std::pair<Snapshot, bool>> others;  // of such paths, and whether their own age lets them go
  for (auto& [where, list] : by_path) {
    if (where == path) continue;
    std::erase_if(list, [&](const Snapshot& snapshot) { return orphans.contains(snapshot.id); });
    const auto ids = to_drop(list, retention);
    for (const auto& snapshot : list) {
      if (!named.empty() && !named.contains(where)) {
        others.emplace_back(snapshot, ids.contains(snapshot.id));
        continue;
      }
      with_streams.insert(run_of(snapshot));
      if (ids.contains(snapshot.id) && !held(snapshot)) drop.insert(snapshot.id);
      else kept_runs.insert(run_of(snapshot));
    }
  }
  const auto with_named = with_streams;
  const auto kept_by_named = kept_runs;
  for (const auto& [snapshot, old] : others) {
    const auto name = run_of(snapshot);
    with_streams.insert(name);
    if (!held(snapshot) && (with_named.contains(name) ? !kept_by_named.contains(name) : old)) drop.insert(snapshot.id);
    else kept_runs.insert(name);
  }
  // One that has nothing but small streams, or nothing at all, goes by its own age.
  const auto old = to_drop(by_path[path], retention);
  for (const auto& snapshot : by_path[path])
    if (!held(snapshot) && (with_streams.contains(run_of(snapshot)) ? !kept_runs.contains(run_of(snapshot)) : old.contains(snapshot.id))) drop.insert(snapshot.id);
  if (drop.empty()) return std::size_t{0};
  DM_CHECK(repository.remove({drop.begin(), drop.end()}, prune, deadline));
  return drop.size();
}

}  // namespace dm::backup

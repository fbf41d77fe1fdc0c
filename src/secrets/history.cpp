#include "secrets/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "base/words.hpp"
#include "secrets/crypto.hpp"
#include "secrets/history_cache.hpp"
#include "sources/files.hpp"

namespace dm::secrets {
namespace {

constexpr std::size_t kAtOnce = 8192;        // objects that are known by name at one time, however long the history is
constexpr std::size_t kMostLeaks = 20'000;   // different ones; who has more has another problem

/// A file of the history in which something stands.
struct Candidate {
  HistoryCache::Entry entry;
  std::string listed;        // the path under which something was found first
  bool known = false;        // with path and commit, but for what came since
  std::string newest_real{}, newest{};
};

class Scan {
 public:
  Scan(const GitRepository& repository, const LookedFor& looked_for, const Deadline& deadline) : repository_(repository), looked_for_(looked_for), deadline_(deadline) {}

  /// What an earlier scan read is not read again. `cache` is what the next one will want, where it may trust it.
  Result<History> run(std::optional<HistoryCache>& cache) {
    DM_TRY(auto all_tips, git_tips(repository_, deadline_));
    auto& tips = all_tips.ids;
    GitRange range{tips, {}};
    bool grown = false;
    const bool same = cache && cache->tips == tips;
    if (cache) {
      DM_TRY(auto then, compare_tips(repository_, cache->tips, tips, deadline_));
      grown = then.reached;
      if (!grown) {
        DM_TRY(const bool all, still_there(tips, cache->entries));
        if (!all) cache.reset();
      }
      if (cache) range.known = std::move(then.here);
    }
    Fresh fresh;
    if (!same) {
      DM_TRY(fresh, read_range(range, all_tips.files));
    }
    std::vector<Candidate> candidates;
    std::set<std::string_view> known;
    if (cache)
      for (const auto& entry : cache->entries) known.insert(entry.object);
    for (const auto& file : fresh.files)
      if (known.insert(file.id).second) candidates.push_back({{file.id, file.path, {}, {}}, file.path});
    if (cache)
      for (const auto& entry : cache->entries) candidates.push_back({grown ? entry : HistoryCache::Entry{entry.object, entry.path, {}, {}}, entry.path, grown});
    if (!grown) range.known.clear();  // the commits that brought it may be others now
    if (!same) DM_CHECK(find_commits(range, candidates));

    History out;
    DM_CHECK(read_candidates(candidates, out));
    DM_CHECK(find_standing(out));
    std::ranges::sort(out.leaks, {}, [](const PastLeak& one) { return std::tie(one.leak.path, one.leak.line, one.leak.name, one.commit); });
    out.read = fresh.read;
    out.versions = fresh.read + (cache ? cache->versions : 0);
    if (fresh.missing > 0) out.notes.push_back(fmt::format("{} of git history are not in this clone (a partial one, or damaged): what they hold is unknown", counted(fresh.missing, "object")));
    if (fresh.full) out.notes.push_back(fmt::format("git history has more than {} secrets: the rest is left out", kMostLeaks));
    if (repository_.shallow) out.notes.push_back("this clone is shallow: what came before it is unknown ('git fetch --unshallow' brings it)");
    if (repository_.submodules) out.notes.push_back("submodules have histories of their own, which are not read");

    HistoryCache next;
    next.tips = std::move(tips);
    next.versions = out.versions;
    for (auto& candidate : candidates)
      if (!candidate.entry.object.empty()) next.entries.push_back(std::move(candidate.entry));
    if (fresh.missing > 0 || fresh.full) cache.reset();
    else cache = std::move(next);
    return out;
  }

 private:
  struct Fresh {
    std::vector<GitObject> files;
    std::size_t read = 0, missing = 0;
    bool full = false;
  };

  std::string mark(const Leak& leak) const {
    return hmac_sha256(fmt::format("{}{}\n{}\n{}", key_, leak.path, about(leak.rule).id, leak.name), leak.value.reveal());
  }

  /// The files in which the oldest of each leak of the range stands, newest first. Holds no more than these, a batch of names and one file.
  Result<Fresh> read_range(const GitRange& range, const std::vector<GitObject>& more) {
    Fresh out;
    std::map<std::size_t, std::pair<GitObject, std::size_t>> held;  // by order, with how many leaks are its
    std::unordered_map<std::string, std::size_t> oldest;            // leak to order
    std::size_t order = 0;
    const auto take = [&](const GitObject& file, std::string_view bytes) {
      ++out.read;
      ++order;
      for (const auto& leak : scan_both(file.path, bytes, looked_for_.values)) {
        auto key = mark(leak);
        const auto found = oldest.find(key);
        if (found != oldest.end()) {
          if (found->second == order) continue;
          const auto before = held.find(found->second);
          if (--before->second.second == 0) held.erase(before);
          found->second = order;
        } else if (oldest.size() < kMostLeaks) {
          oldest.emplace(std::move(key), order);
        } else {
          out.full = true;
          continue;
        }
        auto& [object, leaks] = held[order];
        object = file;
        ++leaks;
      }
    };
    std::vector<GitObject> batch;
    const auto read = [&]() -> Result<void> {
      DM_TRY(const auto missing, read_objects(repository_, batch, kMaxScanned, take, deadline_));
      out.missing += missing;
      batch.clear();
      return {};
    };
    const auto list = [&](GitObject object) -> Result<void> {
      if (scan_skips(object.path)) return {};
      batch.push_back(std::move(object));
      if (batch.size() >= kAtOnce) DM_CHECK(read());
      return {};
    };
    DM_TRY(const auto missing, list_objects(repository_, range, list, deadline_));
    for (const auto& file : more) DM_CHECK(list(file));
    DM_CHECK(read());
    out.missing += missing;
    for (auto& [number, file] : held) out.files.push_back(std::move(file.first));
    return out;
  }

  /// What was rewritten and forgotten since has taken none of them along.
  Result<bool> still_there(const std::vector<std::string>& tips, const std::vector<HistoryCache::Entry>& entries) {
    std::set<std::string, std::less<>> gone;
    for (const auto& entry : entries) gone.insert(entry.object);
    if (gone.empty()) return true;
    const auto seen = [&](const GitObject& object) -> Result<void> {
      gone.erase(object.id);
      return {};
    };
    DM_TRY(const auto missing, list_objects(repository_, {tips, {}}, seen, deadline_));
    return gone.empty() && missing == 0;
  }

  /// From files to the oldest commit that brought them, and to the newest path: the one where it may still be. A sample is one only where it has no other path.
  Result<void> find_commits(const GitRange& range, std::vector<Candidate>& candidates) {
    std::unordered_map<std::string, Candidate*> by_object;
    std::vector<std::string> objects;
    for (auto& candidate : candidates) {
      objects.push_back(candidate.entry.object);
      by_object.emplace(candidate.entry.object, &candidate);
    }
    const auto take = [&](GitChange change) {
      const auto found = by_object.find(change.object);
      if (found == by_object.end()) return;  // it took one away
      auto& candidate = *found->second;
      if (!candidate.known) {
        candidate.entry.commit = std::move(change.commit);
        candidate.entry.date = std::move(change.date);
      }
      if (scan_skips(change.path)) return;
      if (candidate.newest.empty()) candidate.newest = change.path;
      if (candidate.newest_real.empty() && !scan_sample(change.path)) candidate.newest_real = std::move(change.path);
    };
    DM_CHECK(list_changes(repository_, range, objects, take, deadline_));
    for (auto& candidate : candidates) {
      const bool real_before = candidate.known && !scan_sample(candidate.listed);
      if (!candidate.newest_real.empty()) candidate.entry.path = candidate.newest_real;
      else if (!real_before && !candidate.newest.empty()) candidate.entry.path = candidate.newest;
    }
    return {};
  }

  /// Every answer is read from the files themselves, so that it is the same with what was remembered and without.
  Result<void> read_candidates(std::vector<Candidate>& candidates, History& out) {
    std::unordered_map<std::string, Candidate*> by_object;
    std::vector<GitObject> files;
    for (auto& candidate : candidates) {
      files.push_back({candidate.entry.object, candidate.entry.path});
      by_object.emplace(candidate.entry.object, &candidate);
    }
    std::unordered_map<std::string, std::size_t> places;  // leak to its place in `found`: the oldest, which comes last, stays
    std::vector<std::pair<PastLeak, Candidate*>> found;
    const auto take = [&](const GitObject& file, std::string_view bytes) {
      auto& candidate = *by_object.at(file.id);
      auto leaks = scan_both(candidate.entry.path, bytes, looked_for_.values);
      if (leaks.empty() && candidate.listed != candidate.entry.path) {
        candidate.entry.path = candidate.listed;
        leaks = scan_both(candidate.listed, bytes, looked_for_.values);
      }
      const auto& entry = candidate.entry;
      for (auto& leak : leaks) {
        auto key = mark(leak);
        leak.commit = entry.commit.empty() ? entry.object.substr(0, 10) : fmt::format("{} {}", entry.commit.substr(0, 10), entry.date);
        std::pair<PastLeak, Candidate*> one{{std::move(leak), entry.commit, entry.date}, &candidate};
        const auto [place, fresh] = places.emplace(std::move(key), found.size());
        if (fresh) found.push_back(std::move(one));
        else if (found[place->second].second != &candidate) found[place->second] = std::move(one);
      }
    };
    for (std::size_t from = 0; from < files.size(); from += kAtOnce) {
      const std::vector<GitObject> some(files.begin() + static_cast<std::ptrdiff_t>(from), files.begin() + static_cast<std::ptrdiff_t>(std::min(files.size(), from + kAtOnce)));
      DM_TRY(const auto missing, read_objects(repository_, some, kMaxScanned, take, deadline_));
      if (missing > 0) return fail(Errc::conflict, fmt::format("objects of '{}' went away while they were read; try again", repository_.top));
    }
    std::set<const Candidate*> wanted;
    for (auto& [leak, candidate] : found) {
      wanted.insert(candidate);
      out.leaks.push_back(std::move(leak));
    }
    for (auto& candidate : candidates)
      if (!wanted.contains(&candidate)) candidate.entry.object.clear();
    return {};
  }

  /// What of it stands in the work tree, in one of the files that leaked.
  Result<void> find_standing(History& out) {
    std::map<std::string, std::vector<Leak>, std::less<>> present;
    for (const auto& past : out.leaks) {
      const auto [place, fresh] = present.try_emplace(past.leak.path);
      const auto full = repository_.top + "/" + past.leak.path;
      const auto stat = fresh ? sources::disk().stat(full) : sources::Stat{};
      if (stat.kind != sources::Kind::regular || stat.symlink || stat.size > kMaxScanned) continue;
      if (const auto text = sources::disk().read(full, kMaxScanned)) place->second = scan_both(past.leak.path, *text, looked_for_.values);
    }
    std::erase_if(present, [](const auto& one) { return one.second.empty(); });
    if (present.empty()) return {};
    std::set<std::string, std::less<>> committed;
    DM_CHECK(list_files(repository_, false, [&](std::string_view path) {
      if (present.contains(path)) committed.emplace(path);
    }, deadline_));
    for (auto& past : out.leaks) {
      const auto& leak = past.leak;
      const auto here = present.find(leak.path);
      const auto same = [&](const Leak& one) { return one.value == leak.value; };
      if (here != present.end())
        if (const auto found = std::ranges::find_if(here->second, same); found != here->second.end()) {
          past.now = committed.contains(leak.path) ? PastLeak::Now::committed : PastLeak::Now::kept;
          past.line_now = found->line;
          continue;
        }
      // A file that was renamed. What everybody tries first stands in many.
      if (leak.value.size() < 8 || leak.rule == LeakRule::weak || leak.rule == LeakRule::fallback) continue;
      if (std::ranges::any_of(committed, [&](const std::string& path) { return !scan_sample(path) && std::ranges::any_of(present.find(path)->second, same); })) past.now = PastLeak::Now::committed;
    }
    return {};
  }

  const GitRepository& repository_;
  const LookedFor& looked_for_;
  const Deadline& deadline_;
  std::string key_ = random_bytes(32);
};

}  // namespace

Result<LookedFor> sealed_in(const GitRepository& repository, KeySources sources, const Deadline& deadline) {
  LookedFor out;
  DM_TRY(auto paths, files_with(repository, kSealedValue, deadline));
  // Made, and not committed yet: an env file, whatever else lies about here.
  DM_CHECK(list_files(repository, true, [&](std::string_view path) {
    if (path.find("env") != std::string_view::npos && !scan_skips(path)) paths.emplace_back(path);
  }, deadline));
  std::ranges::sort(paths);
  for (auto& path : paths) path = repository.top + "/" + path;
  out.values = sealed_values_of(paths, std::move(sources), &out.mark);
  return out;
}

Result<History> scan_history(const GitRepository& repository, const LookedFor& looked_for, const std::string& cache_folder, const Deadline& deadline) {
  const auto id = hex(sha256(repository.common));
  const auto mark = hex(sha256(looked_for.mark + "\n" + repository.cut));
  Scan scan(repository, looked_for, deadline);
  auto cache = cache_folder.empty() ? std::nullopt : load_history_cache(cache_folder, id);
  if (cache && cache->looked_for != mark) cache.reset();
  const auto before = cache ? write_history_cache(*cache) : std::string();
  auto out = scan.run(cache);
  if (!out && !before.empty() && !deadline.passed() && !deadline.stopped()) {  // what was remembered may be what cannot be
    cache.reset();
    out = scan.run(cache);
  }
  if (!out || cache_folder.empty() || !cache) return out;
  cache->repository = id;
  cache->looked_for = mark;
  if (write_history_cache(*cache) != before) static_cast<void>(save_history_cache(cache_folder, *cache));  // where it cannot be kept, all is read again
  return out;
}

}  // namespace dm::secrets

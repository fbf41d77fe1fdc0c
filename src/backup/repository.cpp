#include "backup/repository.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <set>

namespace dm::backup {

Result<std::unique_ptr<Repository>> open_repository(Location location, const std::string& cache) {
  if (location.password.empty()) return fail(Errc::invalid_input, fmt::format("repository '{}' has no password", location.name));
  if (location.kind == "restic") return make_restic(std::move(location), cache);
  if (location.kind == "kopia") return make_kopia(std::move(location), cache);
  return fail(Errc::invalid_input, fmt::format("repository '{}' is of the unknown kind '{}' (known: restic, kopia)", location.name, location.kind));
}

std::string stalled(std::int64_t seconds) {
  return fmt::format("given up after {} s in which nothing moved: is the network to it lost? What it held is as it was, and the next run goes on ('--stall-timeout', or stall_timeout of the repository in "
                     ".datamancy.yml, says how long to wait)", seconds);
}

Error Repository::give_up() const {
  given_up_.request_stop();
  return {Errc::timeout, fmt::format("repository '{}' at {}: {}", location_.name, location_.url, stalled(location_.stall)), {}};
}

namespace {

/// A number that is the same within one period and differs between periods.
std::int64_t period(std::int64_t time, char kind) {
  const std::time_t seconds = time;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  const std::int64_t year = utc.tm_year;
  switch (kind) {
    case 'h': return time / 3600;
    case 'd': return time / 86400;
    case 'w': return (time / 86400 + 3) / 7;  // 1 January 1970 was a Thursday: weeks begin on Monday
    case 'm': return year * 12 + utc.tm_mon;
    default: return year;
  }
}

}  // namespace

std::vector<std::string> to_forget(std::vector<Snapshot> snapshots, const Retention& retention) {
  std::ranges::sort(snapshots, [](const Snapshot& a, const Snapshot& b) { return a.time != b.time ? a.time > b.time : a.id > b.id; });
  std::set<std::string> kept;
  for (std::size_t i = 0; i < snapshots.size() && i < std::max(retention.latest, 1U); ++i) kept.insert(snapshots[i].id);
  const std::pair<char, unsigned> rules[] = {{'h', retention.hourly}, {'d', retention.daily}, {'w', retention.weekly}, {'m', retention.monthly}, {'y', retention.annual}};
  for (const auto& [kind, count] : rules) {
    std::set<std::int64_t> seen;
    for (const auto& snapshot : snapshots) {
      if (seen.size() >= count) break;
      if (seen.insert(period(snapshot.time, kind)).second) kept.insert(snapshot.id);
    }
  }
  std::vector<std::string> out;
  for (const auto& snapshot : snapshots)
    if (!kept.contains(snapshot.id)) out.push_back(snapshot.id);
  return out;
}

bool version_at_least(std::string_view version, std::string_view least) {
  const auto next = [](std::string_view& text) {
    unsigned number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    if (text.starts_with('.')) text.remove_prefix(1);
    else text = {};
    return number;
  };
  if (version.starts_with('v')) version.remove_prefix(1);
  if (least.starts_with('v')) least.remove_prefix(1);
  while (!version.empty() || !least.empty()) {
    const auto have = next(version);
    const auto want = next(least);
    if (have != want) return have > want;
  }
  return true;
}

}  // namespace dm::backup

#include "state/backup_record.hpp"

#include <algorithm>

namespace dm::state {
namespace {

Outcome outcome_of(std::string_view text) {
  if (text == "verified") return Outcome::verified;
  return text == "failed" ? Outcome::failed : Outcome::could_not_verify;
}

using S = std::string;
using I = std::int64_t;

BackupRecord record_of(const std::tuple<S, S, I, I, S, I, I, I, S>& row) {
  const auto& [run, repository, started, finished, outcome, bytes, added, stored, manifest] = row;
  return {run, repository, started, finished, outcome_of(outcome), static_cast<std::uint64_t>(bytes), static_cast<std::uint64_t>(added), static_cast<std::uint64_t>(stored), manifest};
}

}  // namespace

void add(Db& db, const BackupRecord& record) {
  db.run("insert or replace into backups (run, repository, started, finished, outcome, bytes, added, stored, manifest) values (?, ?, ?, ?, ?, ?, ?, ?, ?)", record.run,
         record.repository, record.started, record.finished, to_string(record.outcome), static_cast<I>(record.bytes), static_cast<I>(record.added),
         static_cast<I>(record.stored), record.manifest);
}

std::vector<BackupRecord> newest_backups(Db& db, std::int64_t limit) {
  std::vector<BackupRecord> out;
  for (const auto& row : db.rows<S, S, I, I, S, I, I, I, S>("select run, repository, started, finished, outcome, bytes, added, stored, '' from backups order by started desc, run desc limit ?", limit))
    out.push_back(record_of(row));
  return out;
}

std::optional<double> growth_per_day(const std::vector<BackupRecord>& records) {
  constexpr std::int64_t kDay = 86400;
  const auto measured = [](const BackupRecord& record) { return record.stored > 0; };
  const auto last = std::ranges::find_if(records, measured);
  const auto first = std::find_if(records.rbegin(), records.rend(), measured);
  if (last == records.end() || last->started - first->started < kDay || last->stored <= first->stored) return std::nullopt;
  return static_cast<double>(last->stored - first->stored) * kDay / static_cast<double>(last->started - first->started);
}

std::vector<BackupRecord> backups_since_whole(Db& db, std::string_view repository) {
  std::vector<BackupRecord> out;
  for (const auto& row : db.rows<S, S, I, I, S, I, I, I, S>(
           "with mine as (select * from backups where ?1 = '' or repository = ?1), whole as (select max(started) as at from mine where not coalesce(json_extract(manifest, '$.partial'), 0)) "
           "select run, repository, started, finished, outcome, bytes, added, stored, manifest from mine where started >= coalesce((select at from whole), 0) order by started desc, run desc", repository))
    out.push_back(record_of(row));
  return out;
}

std::optional<BackupRecord> newest_backup(Db& db, std::string_view repository) {
  const auto rows = db.rows<S, S, I, I, S, I, I, I, S>(
      "select run, repository, started, finished, outcome, bytes, added, stored, manifest from backups where ?1 = '' or repository = ?1 order by started desc, run desc limit 1", repository);
  if (rows.empty()) return std::nullopt;
  return record_of(rows.front());
}

}  // namespace dm::state

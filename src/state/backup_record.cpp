#include "state/backup_record.hpp"

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

std::optional<BackupRecord> newest_backup(Db& db, std::string_view repository) {
  const auto rows = db.rows<S, S, I, I, S, I, I, I, S>(
      "select run, repository, started, finished, outcome, bytes, added, stored, manifest from backups where ?1 = '' or repository = ?1 order by started desc, run desc limit 1", repository);
  if (rows.empty()) return std::nullopt;
  return record_of(rows.front());
}

}  // namespace dm::state

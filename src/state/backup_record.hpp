/// Backup runs as this machine remembers them; the repository's own manifests are what counts after a loss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/db.hpp"
#include "state/proof.hpp"

namespace dm::state {

struct BackupRecord {
  std::string run{};
  std::string repository{};   ///< its name in the settings
  std::int64_t started = 0, finished = 0;  ///< Unix seconds, UTC
  Outcome outcome = Outcome::could_not_verify;
  std::uint64_t bytes = 0;    ///< that were read
  std::uint64_t added = 0;    ///< that the repository grew by
  std::uint64_t stored = 0;   ///< size of the repository after it; 0 = not measured
  std::string manifest{};     ///< JSON; no secret
};

/// Replaces the record of the same run and repository.
void add(Db& db, const BackupRecord& record);
/// Newest first; without their manifests.
std::vector<BackupRecord> newest_backups(Db& db, std::int64_t limit);
/// The newest that `repository` ("" = any) has, with its manifest.
std::optional<BackupRecord> newest_backup(Db& db, std::string_view repository);
/// Bytes a day by which a repository grew over `records` of it, newest first. None = those that know its size span less than a day, or it does not grow. Pure.
std::optional<double> growth_per_day(const std::vector<BackupRecord>& records);
/// Newest first, with their manifests: those of a part that are newer than the newest whole one, and that one.
std::vector<BackupRecord> backups_since_whole(Db& db, std::string_view repository);

}  // namespace dm::state

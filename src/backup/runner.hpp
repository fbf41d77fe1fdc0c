/// Saves, reads back, judges: the run of a backup and its verification.
#pragma once

#include <functional>
#include <string>

#include "backup/discover.hpp"
#include "backup/manifest.hpp"
#include "backup/repository.hpp"

namespace dm::backup {

class Places;

/// Called as work goes on, from the thread that works.
struct Progress {
  std::string what{};          ///< "db/shop"
  std::uint64_t bytes = 0;     ///< so far
  std::uint64_t expected = 0;  ///< of the last time, 0 = not known
  double seconds = 0;
  bool done = false;
};
using OnProgress = std::function<void(const Progress&)>;

struct RunOptions {
  std::vector<std::string> only{};     ///< ids of subjects; empty = all
  const Manifest* previous = nullptr;  ///< for the progress
  OnProgress progress{};
  std::string tool{"datamancy 0.1.0"};
  StackRecord stack{};                 ///< for the manifest of a whole run
  std::string quiesced{};              ///< the file that says which containers stand still; "" = none is kept
  Places* places = nullptr;            ///< opened beforehand; null = they are opened as they are needed
};

/// Who will stand still while what is saved, and for how long at most: a line for each, to be said before it happens. Pure.
std::vector<std::string> standstills(const Inventory& inventory, const RunOptions& options);

/// Saves every subject and writes the manifest. A trouble with one item is in its `Saved`, and the others go on; what is returned as
/// an error is trouble with the repository as a whole (its manifest could not be written: then nothing counts) or an interruption.
Result<Manifest> run_backup(engine::Engine& engine, const Inventory& inventory, Repository& repository, const RunOptions& options, const Deadline& deadline);

/// Newest first. Those that cannot be read are left out of the list and stand in `unread`.
struct History {
  std::vector<Manifest> runs{};
  std::vector<std::string> manifest_ids{};  ///< snapshot of each run's manifest
  std::vector<Snapshot> snapshots{};        ///< all of the project's
  std::vector<Snapshot> orphans{};          ///< snapshots of this project that no manifest names: interrupted runs
  struct Unread {
    std::string run{};
    std::int64_t time = 0;
    std::size_t newer = 0;                  ///< how many of `runs` are newer
    std::string why{};
  };
  std::vector<Unread> unread{};
  /// The run whose name begins so; "" = the newest of everything, or of a part where there is no other. Null = none.
  const Manifest* find(std::string_view run) const;
  /// In words, which manifests newer than `chosen` (one of `runs`; null = all) cannot be read; "" = none. `counts` leaves some out by their time.
  std::string passed_over(const Manifest* chosen, const std::function<bool(std::int64_t)>& counts = {}) const;
};
/// At most `limit` of them, and none that is older than the first one for which `enough` holds: each costs an opening of the repository.
/// Errors: a repository that does not answer, is locked or does not open; damaged or newer manifests are no error.
Result<History> history(Repository& repository, std::string_view project, std::size_t limit, const Deadline& deadline, const std::function<bool(const Manifest&)>& enough = {});
constexpr std::size_t kAllRuns = static_cast<std::size_t>(-1);
/// For `enough`: it is what `History::find` gives.
std::function<bool(const Manifest&)> found_by(std::string_view run);

/// The text of a manifest.
Result<std::string> manifest_text(Repository& repository, const Snapshot& snapshot, const Deadline& deadline);

/// The run's manifest can be read in `target`, and each of its streams is there. Errors: `corrupt` with what is missing.
Result<void> arrived(Repository& target, std::string_view project, const Manifest& run, const Deadline& deadline);

/// Reads one stream from the repository to its end through its reader: bytes, checksum, fingerprint as in the manifest.
/// Errors: `corrupt` with what differs.
Result<void> read_back(Repository& repository, const Saved& saved, const Sink& also, const Deadline& deadline);

struct Verdict {
  std::string what{};
  Outcome outcome = Outcome::could_not_verify;
  std::string detail{};
};
/// Repository check of `depth`, every item of `manifest` read back, its age against `objective` seconds.
std::vector<Verdict> verify(Repository& repository, const Manifest& manifest, Depth depth, std::int64_t objective, const OnProgress& progress, const Deadline& deadline);

/// Forgets what `retention` does not keep, run by run; only where the newest run is verified (`conflict` otherwise, in words). The newest
/// whole run that is verified stays, and runs of a part take no place of whole ones. Runs that nobody finished go too. Gives how many snapshots went.
Result<std::size_t> apply_retention(Repository& repository, std::string_view project, const Retention& retention, bool prune, const Deadline& deadline);

std::int64_t unix_now();

}  // namespace dm::backup

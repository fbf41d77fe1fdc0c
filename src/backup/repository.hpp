/// Where backups are kept: encrypted, deduplicated, by a program that others trust. One interface, one file for each program under
/// repositories/.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/io.hpp"

namespace dm::backup {

/// Where a repository lies and what opens it. Secrets reach the program by its environment and by descriptors, never by argv.
struct Location {
  std::string name{};                        ///< ours: "local", "offsite"
  std::string kind{};                        ///< "restic" or "kopia"
  std::string url{};                         ///< a path, or what the program takes: "s3:https://...", "sftp:user@host:/path", "rest:...", "rclone:..."
  std::string password{};                    ///< secret
  std::map<std::string, std::string> env{};  ///< credentials of the backend; secret
  std::uint64_t upload_limit = 0;            ///< KiB/s; 0 = none
  std::uint64_t download_limit = 0;
  std::int64_t stall = 600;                  ///< seconds without any progress after which it is given up
  std::vector<std::string> options{};        ///< restic's `-o`, for an SSH command with a pinned host key and the like
};

struct Snapshot {
  std::string id{};
  std::string original{};                    ///< the id that it was copied from; "" = it was made here
  std::int64_t time = 0;                     ///< Unix seconds, UTC
  std::string host{};                        ///< the project
  std::string path{};                        ///< of the one file in it: "/shop/db/postgres/shop.sql"
  std::vector<std::string> tags{};
  std::uint64_t bytes = 0;                   ///< as stored by us; 0 = not said
};

struct Stored {
  std::string id{};
  std::uint64_t bytes = 0;                   ///< that the program says it read
  std::uint64_t added = 0;                   ///< bytes that it added to the repository, packed
};

struct StoreRequest {
  std::string host{};                        ///< the project
  std::string path{};                        ///< absolute, stable per datastore: old and new versions meet under it
  std::vector<std::string> tags{};           ///< "run=...", no secrets, no commas
};

enum class Depth : std::uint8_t {
  structure,   ///< what is referred to exists
  sample,      ///< and a part of the data is read and checked
  everything,  ///< and all of it
};

struct CheckReport {
  std::vector<std::string> troubles{};       ///< empty = none found
  bool read_data = false;
};

/// Tag of the snapshots of a run that saved a part only.
constexpr std::string_view kOfAPart = "partial";

/// How many to keep of each path, counted by the newest of each period (item O14).
struct Retention {
  unsigned latest = 30, hourly = 24, daily = 30, weekly = 26, monthly = 24, annual = 3;
};

struct Usage {
  std::uint64_t stored = 0;                  ///< bytes in the repository
  std::uint64_t original = 0;                ///< bytes that all snapshots stand for; 0 = not said
  std::uint64_t snapshots = 0;
};

/// Further errors of all: `timeout` (no progress for `Location::stall`), `not_found` with exit 10 (the program is missing), `unsupported` (too old), `denied` (wrong password),
/// `conflict` (locked), `unavailable` (backend), `corrupt`, `failed` (its own words).
class Repository {
 public:
  virtual ~Repository() = default;
  const Location& location() const { return location_; }
  /// The program and its version: "restic 0.19.1". Errors: it is missing or too old, with how to get a good one.
  virtual Result<std::string> program(const Deadline& deadline) = 0;
  /// Whether one is there and opens: false = nothing is there. Errors: `denied`, ...
  virtual Result<bool> exists(const Deadline& deadline) = 0;
  virtual Result<void> create(const Deadline& deadline) = 0;
  /// Stores a stream as one file. An error of `source` undoes it: nothing is kept then, which is checked.
  virtual Result<Stored> store(const StoreRequest& request, const Source& source, const Deadline& deadline) = 0;
  virtual Result<std::vector<Snapshot>> list(const Deadline& deadline) = 0;
  /// Streams the file of a snapshot, named by its id or, where `list` has been asked before, by that which it was copied from. The
  /// end without an error is the whole file.
  virtual Result<void> fetch(const Snapshot& snapshot, const Sink& sink, const Deadline& deadline) = 0;
  virtual Result<CheckReport> check(Depth depth, const Deadline& deadline) = 0;
  /// Forgets these snapshots; `prune` also frees their space.
  virtual Result<void> remove(const std::vector<std::string>& ids, bool prune, const Deadline& deadline) = 0;
  /// Copies these snapshots (empty = all) into `target`, of the same kind, as far as it does not have them.
  virtual Result<void> copy(const std::vector<std::string>& ids, Repository& target, const Deadline& deadline) = 0;
  virtual Result<Usage> usage(const Deadline& deadline) = 0;
  /// It was given up since it was opened, because nothing moved: asking again mostly means to wait once more.
  bool lost() const { return given_up_.stop_requested(); }
  /// Removes locks that nobody holds any more.
  virtual Result<void> unlock(const Deadline& deadline) = 0;
  /// The repository opens with `password` from now on and no longer with the old one. Nothing is uploaded again.
  virtual Result<void> change_password(const std::string& password, const Deadline& deadline) = 0;

 protected:
  explicit Repository(Location location) : location_(std::move(location)) {}
  /// One program has stood still: whatever else asks this repository ends with it, and who asks later is told so at once. So the limit
  /// is waited for once, however many streams there are.
  Error give_up() const;
  Location location_;
  mutable std::stop_source given_up_;
};

/// `cache` is a folder for what the program may keep between runs (no plaintext of ours). Errors: `invalid_input` (kind unknown).
Result<std::unique_ptr<Repository>> open_repository(Location location, const std::string& cache);

/// repositories/*.cpp
std::unique_ptr<Repository> make_restic(Location location, const std::string& cache);
std::unique_ptr<Repository> make_kopia(Location location, const std::string& cache);

/// Which of `snapshots` of one path to drop. The newest is always kept. Pure.
std::vector<std::string> to_forget(std::vector<Snapshot> snapshots, const Retention& retention);

/// Why it was given up, for people: `seconds` without progress.
std::string stalled(std::int64_t seconds);

/// "0.17.1" <= "0.19.1": numbers compared piece by piece, a leading v and what follows a dash ignored.
bool version_at_least(std::string_view version, std::string_view least);

}  // namespace dm::backup

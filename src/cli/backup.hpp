/// What the verbs `backup` and `drill restore` share: the project's name, the engine, the settings, the repository, the store.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "backup/runner.hpp"
#include "backup/settings.hpp"
#include "cli/verbs.hpp"
#include "engine/engine.hpp"
#include "secrets/keyring.hpp"
#include "state/backup_record.hpp"
#include "state/store.hpp"

namespace dm::cli {

struct BackupSession {
  std::string project{};                 ///< name
  std::string folder{};                  ///< of its files; settings are relative to it
  std::unique_ptr<engine::Engine> engine{};
  std::string engine_id{};
  product::Catalogue products{};
  backup::Settings settings{};
  std::unique_ptr<backup::Repository> repository{};
  std::string store{};                   ///< folder of the state
  std::optional<state::Db> db{};
  std::vector<std::string> declared{};   ///< datastore services of the files, whether they run or not
  std::int64_t stall = 0;                ///< seconds, of --stall-timeout; 0 = as the settings say
  bool fresh = false;                    ///< there was no repository before
  bool json = false, yes = false, quiet = false;
  std::stop_token stop{};
  std::map<std::string, std::string, std::less<>> environment{};
  std::string working_directory{}, password_file{};
  std::function<Result<std::string>(const std::string& name)> sealed{};  ///< the value of a sealed secret
  secrets::KeySources keys{};
  backup::StackRecord record{};          ///< of the running stack, for the manifest; filled by `inventory`

  Deadline within(Clock::duration span) const { return Deadline::in(span, stop); }
  Result<void> open_state();
  /// Notes in the journal what begins now (`subject`: "" = the project); `state::finish` ends it. Gives its number.
  std::int64_t begin(std::string verb, std::string action, std::string subject = {});
  Result<backup::Inventory> inventory();
  /// Opens the repository called `name` ("" = the one that takes the backups). `create` makes what is missing.
  Result<std::unique_ptr<backup::Repository>> open(const std::string& name, bool create);
};

enum class Needs : std::uint8_t { repository, engine, engine_and_repository };

/// Takes the common options out of `args` (--json, --yes, --quiet, --repository, --password-file, --context, --host) and opens what
/// is needed. Errors are for `complain`.
Result<void> open_backup(Args& args, Needs needs, bool create, BackupSession& out);

/// Stopped by the first signal; the second ends the process.
std::stop_token watch_signals();
/// Asks on the terminal; false without --yes where there is none.
bool agreed(const BackupSession& session, std::string_view question);
/// Progress lines on standard error, over one another on a terminal.
backup::OnProgress progress_of(const BackupSession& session);

std::string human_bytes(std::uint64_t bytes);
std::string human_time(std::int64_t unix_seconds);   ///< "2026-11-25 23:05 UTC"
/// Whether a moment is no later than `at`, which may be given in part: "2026-11-25", "2026-11-25T23:05"; "" = any moment.
bool no_later(std::int64_t unix_seconds, std::string_view at);
/// `at`, as --before gave it, is such a moment or ""; a space before the hour becomes a T. Errors: `invalid_input`.
Result<void> check_moment(std::string& at);
/// Of a run that was chosen by its time (`at` as above). Errors: `conflict`, where a newer one cannot be read and an older one would come back unsaid.
Result<void> none_passed_over(const backup::History& history, const backup::Manifest& chosen, const std::string& at);
int status_of(state::Outcome outcome);               ///< 0 verified, 1 failed, 2 could not verify

// The parts of `backup`, one file each.
int backup_run(Args& args);
int backup_list(Args& args);
int backup_show(Args& args);
int backup_verify(Args& args);
int backup_coverage(Args& args);
int backup_restore(Args& args);
int backup_forget(Args& args);
int backup_prune(Args& args);
int backup_replicate(Args& args);
int backup_schedule(Args& args);
int backup_doctor(Args& args);
int backup_inspect(Args& args);
int backup_unlock(Args& args);
int backup_password(Args& args);

}  // namespace dm::cli

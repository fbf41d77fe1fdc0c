/// What `recover` and `drill stack` share: a project rebuilt out of a run of its backup, step by step.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/backup.hpp"
#include "cli/session.hpp"
#include "deploy/bring_up.hpp"
#include "recover/plan.hpp"

namespace dm::cli {

struct Recovered {
  std::string kind{}, what{};
  state::Outcome outcome = state::Outcome::verified;
  std::string detail{};
  double seconds = 0;
};

/// A project as it is rebuilt. `backup` has the repository and the engine.
struct Rebuild {
  BackupSession& backup;
  const backup::Manifest& run;
  recover::Plan plan{};
  std::string name{};                          ///< of the project that is made
  std::string shelter{};                       ///< where bind mounts from outside go; "" = where they were
  std::string open_secrets{};                  ///< folder in memory for sealed files; "" = into the project's folder
  std::string override_file{};                 ///< isolates; "" = none
  std::string label{"datamancy.recover=1"};    ///< of what is thrown away again
  std::string keep_suffix{};                   ///< --overwrite: what exists is kept under this suffix; "" = it is not touched
  bool apart = false;                          ///< volumes, labels and names of its own
  std::vector<std::string> env_files{};
  std::vector<Recovered> done{};
  std::vector<std::string> notes{};
  std::function<void(const Recovered&)> tell{};
};

/// Of the machine that `backup.engine` and this disk are.
Result<recover::Around> look_around(BackupSession& backup, const backup::Manifest& run, const recover::Wanted& wanted);

/// The options with which the rebuilt project is loaded.
Args args_of(const Args& args, const Rebuild& rebuild);

/// Project files, sealed files and folders.
Result<void> rebuild_files(Rebuild& rebuild);
/// Writes the file that isolates (`override_file`) for the project as it lies there now.
Result<void> write_isolation(const Args& args, Rebuild& rebuild);
/// Creates everything with Compose, fills volumes and datastores, each compared. Where one fails, the error is in `done` too.
Result<void> rebuild_data(const Args& args, Rebuild& rebuild);
/// `up` of `names` (empty = all) without records, gated as ever; `force` recreates these whatever happens.
Result<deploy::UpOutcome> bring_up_project(Args now, bool quiet, std::vector<std::string> names, bool dependencies, std::vector<std::string> force = {});
/// Starts what is left and waits until all is well.
Result<deploy::UpOutcome> start_all(const Args& args, Rebuild& rebuild, std::vector<std::string> names = {}, bool dependencies = true);

}  // namespace dm::cli

/// The drill that proves a backup: brings it back into something throw-away that nobody can reach, and looks whether it is the same.
#pragma once

#include <string>
#include <vector>

#include "backup/runner.hpp"

namespace dm::drill {

struct Objectives {
  std::int64_t database = 15 * 60;      ///< seconds until a database is back (item O71)
  std::int64_t volume = 3600;
  std::int64_t point = 24 * 3600;       ///< how old the newest backup may be
};

struct ItemResult {
  std::string item{};
  state::Outcome outcome = state::Outcome::could_not_verify;
  std::string detail{};
  std::uint64_t bytes = 0;
  double restore_seconds = 0, compare_seconds = 0;
};

struct Report {
  std::string subject{}, kind{}, run{};
  state::Outcome outcome = state::Outcome::could_not_verify;
  std::string detail{};                 ///< the first thing that is wrong, or what was proven
  std::vector<ItemResult> items{};
  double recovery_seconds = 0;          ///< from nothing to a server with all its data
  std::int64_t age = 0;                 ///< of the backup, seconds
  std::string check{};                  ///< what the product's own check said
  state::Binding binding{};
};

/// Restores all items of `subject` in `manifest` and compares. Everything it makes carries the label `datamancy.drill=PROJECT` and is
/// removed at the end; what an earlier drill left after being killed is removed first. The caller holds the store's lock, so that
/// nobody else's drill of this project is under way. Never an error: what goes wrong is in the report.
Report restore(engine::Engine& engine, backup::Repository& repository, const backup::Manifest& manifest, const std::string& subject, const Objectives& objectives,
               const backup::OnProgress& progress, const Deadline& deadline);

/// Removes what killed drills of `project` left. Gives how many things.
Result<std::size_t> clean_up(engine::Engine& engine, const std::string& project, const Deadline& deadline);

}  // namespace dm::drill

/// What an upgrade has begun, on disk before it is done: one that is killed can be taken back by the next run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace dm::upgrade {

struct Unfinished {
  enum class Step : std::uint8_t {
    stopping,   ///< clients are stopped, the server is taken off its networks, its data is saved
    moving,     ///< what its volume holds is on its way into `kept`: what is in either is the old data
    changed,    ///< `kept` has all of it (where the step needs that), the file is changed, the new version may have run
    returning,  ///< the new version's data is gone, the old data is on its way back: what is in either is the old data
  };
  Step step = Step::stopping;
  std::string service{}, from{}, image{};
  std::string path{}, before{}, after{};  ///< the Compose file and its text; "" = it is not changed
  std::string volume{}, kept{};           ///< "" = the data stays where it is
  std::string run{};                      ///< the backup; "" = not made yet
  std::vector<std::string> running{};     ///< clients that ran
};

/// In `folder`, the project's store. Nothing there = no upgrade was interrupted.
Result<std::optional<Unfinished>> read_unfinished(const std::string& folder);
Result<void> write_unfinished(const std::string& folder, const Unfinished& what);
Result<void> forget_unfinished(const std::string& folder);

}  // namespace dm::upgrade

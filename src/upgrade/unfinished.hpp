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
    returning,  ///< the new version's data is gone, the old data is on its way back: what is in either is the old data; where `kept` is "", `done` says how far
  };
  Step step = Step::stopping;
  std::string service{}, from{}, image{};
  std::string from_id{};                  ///< id of the image that `from` named, where `image` is the same name; else ""
  std::string path{}, before{}, after{};  ///< the Compose file and its text; "" = it is not changed
  std::string volume{}, kept{};           ///< "" = the data stays where it is
  std::string run{};                      ///< the backup; "" = not made yet
  std::vector<std::string> running{};     ///< clients that ran
  /// What a new version that changes data in place may have changed; none = the note was written before such things were in it.
  std::optional<bool> migrates{};
  std::string data_volume{};              ///< of the service's own database; "" = it has none
  std::vector<std::string> trees{};       ///< its volumes and folders, by their subjects
  std::vector<std::string> needed{};      ///< datastores that it alone uses
  std::vector<std::string> shared{};      ///< that it uses with others: for people
  std::vector<std::string> done{};        ///< of the way back: "aside X" (moved away), "back X" (there, and equal)
};

/// In `folder`, the project's store. Nothing there = no upgrade was interrupted.
Result<std::optional<Unfinished>> read_unfinished(const std::string& folder);
Result<void> write_unfinished(const std::string& folder, const Unfinished& what);
Result<void> forget_unfinished(const std::string& folder);

}  // namespace dm::upgrade

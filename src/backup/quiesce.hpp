/// Containers that stand still while their files are copied, because a label of theirs asks for it:
/// `datamancy.backup.quiesce: pause` (frozen, connections stay) or `stop` (the application writes out what it holds).
#pragma once

#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace dm::backup {

struct Still {
  std::string container{};
  bool stop = false;  ///< else it is paused
};

class Quiesce {
 public:
  /// What stands still is in the file `record` before it does, so that a program that was killed leaves nothing still for ever.
  Quiesce(engine::Engine& engine, const std::vector<Still>& stills, std::string record) : engine_(engine), stills_(stills), record_(std::move(record)) {}
  ~Quiesce() { (void)end(); }
  Quiesce(const Quiesce&) = delete;
  Quiesce& operator=(const Quiesce&) = delete;
  Result<void> begin(const Deadline& deadline);
  /// They go on. Errors: one of them does not; its record stays.
  Result<void> end();

 private:
  engine::Engine& engine_;
  std::vector<Still> stills_;
  std::string record_;
  bool begun_ = false;
};

/// Lets go on what an interrupted run has left standing still, by its record. Gives how many those were.
Result<std::size_t> wake_up(engine::Engine& engine, const std::string& record);

}  // namespace dm::backup

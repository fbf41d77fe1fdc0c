/// Containers that stand still while their files are copied, because a label of theirs asks for it:
/// `datamancy.backup.quiesce: pause` (frozen, connections stay) or `stop` (the application writes out what it holds).
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
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
  /// They stand still for `limit` at most; then they go on by themselves, whatever else is under way. 0 = no limit.
  void limit(std::chrono::seconds limit) { limit_ = limit; }
  Quiesce(const Quiesce&) = delete;
  Quiesce& operator=(const Quiesce&) = delete;
  /// Errors: also `timeout`, where the limit passed before all of them stood still.
  Result<void> begin(const Deadline& deadline);
  /// They go on. Errors: one of them does not; its record stays.
  Result<void> end();
  /// They went on because of the limit, before `end`: what was copied meanwhile is not of one moment.
  bool expired() const;

 private:
  Result<void> all_go_on();
  void watch();

  engine::Engine& engine_;
  std::vector<Still> stills_;
  std::string record_;
  std::chrono::seconds limit_{0};
  mutable std::mutex mutex_;  ///< of all below, and held while containers are told something
  std::condition_variable over_;
  bool begun_ = false, expired_ = false, ended_ = false;
  std::thread watch_;
};

/// Lets go on what an interrupted run has left standing still, by its record. Gives how many those were.
Result<std::size_t> wake_up(engine::Engine& engine, const std::string& record);

}  // namespace dm::backup

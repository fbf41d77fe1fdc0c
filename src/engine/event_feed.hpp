/// The engine's events for a consumer that may be slow: read on a thread of their own into a bounded queue, reconnected when lost, and
/// honest about gaps.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "engine/engine.hpp"

namespace dm::engine {

struct Notice {
  enum class Kind : std::uint8_t {
    event,      ///< something happened: look
    reconcile,  ///< events from before this moment may be missing: list and inspect everything. Always the first notice of a connection
    lost,       ///< there is no connection just now; it is tried again
  };
  Kind kind = Kind::event;
  Event event{};
  std::string why{};  ///< of reconcile and lost
};

/// Events are hints: after each, ask the engine for the truth. The engine replays only 256 of them and drops those of slow readers, and
/// tells neither; so whoever decides by them reconciles when told to, and now and then without.
class EventFeed {
 public:
  /// `engine` outlives the feed. `limit` = notices kept for the consumer; beyond it they are dropped for one `reconcile`.
  explicit EventFeed(Engine& engine, EventQuery query = {}, std::size_t limit = 4096);
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  /// The next notice. Errors: `timeout`, `conflict` (interrupted).
  Result<Notice> next(const Deadline& deadline);

 private:
  void read(const std::stop_token& stop);
  void push(Notice notice);

  Engine& engine_;
  EventQuery query_;
  std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<Notice> queue_;
  std::jthread reader_;  // last: ends first
};

}  // namespace dm::engine

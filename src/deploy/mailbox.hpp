/// Messages from many threads to one.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "base/deadline.hpp"

namespace dm::deploy {

template <class T>
class Mailbox {
 public:
  void put(T message) {
    {
      const std::lock_guard lock(mutex_);
      messages_.push_back(std::move(message));
    }
    ready_.notify_one();
  }
  /// All that is there; waits until `until` where nothing is.
  std::deque<T> take(Clock::time_point until) {
    std::unique_lock lock(mutex_);
    ready_.wait_until(lock, until, [&] { return !messages_.empty(); });
    return std::exchange(messages_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> messages_;
};

}  // namespace dm::deploy

/// A few threads that run what they are given; ends by finishing what has begun and dropping the rest.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace dm::deploy {

class Workers {
 public:
  explicit Workers(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() {
    for (auto& thread : threads_) thread.request_stop();
    ready_.notify_all();
  }
  /// Tasks of more weight go first, equal ones in the order in which they came.
  void run(std::int64_t weight, std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.emplace(-weight, std::move(task));
    }
    ready_.notify_one();
  }

 private:
  void work(const std::stop_token& stop) {
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        if (!ready_.wait(lock, stop, [&] { return !tasks_.empty(); }) || stop.stop_requested()) return;
        task = std::move(tasks_.begin()->second);
        tasks_.erase(tasks_.begin());
      }
      task();
    }
  }
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::multimap<std::int64_t, std::function<void()>> tasks_;
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace dm::deploy

/// A value that can be reached only while holding its mutex.
#pragma once

#include <mutex>
#include <utility>

namespace dm {

/// `Guarded<Jobs> jobs_;  jobs_.with([](Jobs& jobs) { jobs.push_back(...); });`
/// The lock covers exactly the body of the callback; do no I/O inside it.
template <class T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  template <class F>
  decltype(auto) with(F&& body) {
    const std::lock_guard lock(mutex_);
    return std::forward<F>(body)(value_);
  }
  template <class F>
  decltype(auto) with(F&& body) const {
    const std::lock_guard lock(mutex_);
    return std::forward<F>(body)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace dm

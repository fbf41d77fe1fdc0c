/// How long a blocking call may take, and who may end it earlier.
#pragma once

#include <chrono>
#include <stop_token>

namespace dm {

using Clock = std::chrono::steady_clock;

/// A moment on the monotonic clock, and a token by which the caller cancels. Every call that can block takes one: it gives
/// `Errc::timeout` at the moment, and `Errc::conflict` ("interrupted") soon after the token was stopped. Copies share the token.
class Deadline {
 public:
  /// Never passes; only for work that a person watches and can interrupt.
  Deadline() = default;
  explicit Deadline(Clock::time_point at, std::stop_token stop = {}) : at_(at), stop_(std::move(stop)) {}
  static Deadline in(Clock::duration span, std::stop_token stop = {}) { return Deadline(Clock::now() + span, std::move(stop)); }

  /// The same token, but at most `span` from now.
  Deadline at_most(Clock::duration span) const {
    const auto other = Clock::now() + span;
    return Deadline(other < at_ ? other : at_, stop_);
  }
  bool passed() const { return Clock::now() >= at_; }
  bool stopped() const { return stop_.stop_requested(); }
  /// For poll(2): milliseconds left, rounded up, 0 when passed, at most `cap`, so that the token is looked at now and then.
  int poll_ms(int cap = 200) const {
    const auto left = at_ - Clock::now();
    if (left <= Clock::duration::zero()) return 0;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
    return ms < cap ? static_cast<int>(ms) : cap;
  }
  Clock::time_point at() const { return at_; }
  const std::stop_token& stop() const { return stop_; }

 private:
  Clock::time_point at_ = Clock::time_point::max();
  std::stop_token stop_;
};

}  // namespace dm

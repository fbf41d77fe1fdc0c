#include "engine/event_feed.hpp"

#include <fmt/format.h>

namespace dm::engine {

EventFeed::EventFeed(Engine& engine, EventQuery query, std::size_t limit) : engine_(engine), query_(std::move(query)), limit_(limit) {
  reader_ = std::jthread([this](const std::stop_token& stop) { read(stop); });
}
EventFeed::~EventFeed() = default;

void EventFeed::read(const std::stop_token& stop) {
  constexpr auto kFirst = std::chrono::milliseconds(100);
  constexpr auto kLast = std::chrono::milliseconds(5000);
  auto pause = kFirst;
  bool told = false;
  for (bool first = true; !stop.stop_requested(); first = false) {
    const auto subscribed = [&] {
      told = false;
      pause = kFirst;
      push({Notice::Kind::reconcile, {}, first ? "subscribed" : "subscribed again after a gap"});
    };
    const auto passed = [&](const Event& event) -> Result<void> {
      push({Notice::Kind::event, event, {}});
      return {};
    };
    const auto ended = engine_.events(query_, subscribed, passed, Deadline(Clock::time_point::max(), stop));
    if (stop.stop_requested()) return;
    if (!told) push({Notice::Kind::lost, {}, ended ? "the stream ended" : ended.error().describe()});
    told = true;
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, stop, pause, [] { return false; });
    pause = std::min(pause * 2, kLast);
  }
}

void EventFeed::push(Notice notice) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= limit_) {
      const auto dropped = queue_.size();
      queue_.clear();
      queue_.push_back({Notice::Kind::reconcile, {}, fmt::format("{} notices were dropped because nobody took them", dropped)});
    }
    queue_.push_back(std::move(notice));
  }
  ready_.notify_all();
}

Result<Notice> EventFeed::next(const Deadline& deadline) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!queue_.empty()) {
      auto notice = std::move(queue_.front());
      queue_.pop_front();
      return notice;
    }
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (deadline.passed()) return fail(Errc::timeout, "no event came in time");
    const auto some = [&] { return !queue_.empty(); };
    // A deadline far in the future must not overflow the condition's clock.
    const auto at = std::min(deadline.at(), Clock::now() + std::chrono::hours(1));
    ready_.wait_until(lock, deadline.stop(), at, some);
  }
}

}  // namespace dm::engine

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <set>
#include <thread>

#include "cli/session.hpp"
#include "compose/units.hpp"
#include "deploy/look.hpp"

namespace dm::cli {
namespace {

/// Whole lines of one stream, each with its prefix, never torn between threads.
class Lines {
 public:
  Lines(std::mutex& mutex, std::string prefix) : mutex_(mutex), prefix_(std::move(prefix)) {}
  ~Lines() {
    if (!rest_.empty()) print(rest_);
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  void take(std::string_view piece) {
    rest_.append(piece);
    std::size_t at = 0;
    for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', at)) {
      print(std::string_view(rest_).substr(at, end - at));
      at = end + 1;
    }
    rest_.erase(0, at);
    if (rest_.size() > (1U << 20U)) {
      print(rest_);
      rest_.clear();
    }
  }

 private:
  void print(std::string_view line) {
    const std::lock_guard lock(mutex_);
    fmt::print("{}{}\n", prefix_, line);
  }
  std::mutex& mutex_;
  std::string prefix_, rest_;
};

}  // namespace

int logs(Args& args) {
  engine::LogQuery query;
  query.follow = args.has("--follow");
  query.timestamps = args.has("--timestamps");
  const bool bare = args.has("--no-prefix");
  std::string tail;
  std::chrono::nanoseconds since{0};
  if (args.option("--tail", tail) || args.option("-n", tail)) query.tail = tail == "all" ? -1 : std::atoi(tail.c_str());
  std::vector<std::string> names;
  if (!take_duration(args, "--since", since) || !take_names(args, "logs", names)) return kUsage;
  if (since.count() > 0) query.since = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count() - since.count();
  Session session;
  int exit = kFailed;
  if (!open_session(args, names, session, exit, /*with_dependencies=*/false)) return exit;
  const auto containers = deploy::look(*session.engine, session.project().name, session.within(std::chrono::seconds(30)));
  if (!containers) return complain(containers.error());
  std::vector<const deploy::Container*> chosen;
  std::size_t width = 0;
  for (const auto& container : *containers)
    if (!container.one_off && (names.empty() || session.services.contains(container.service))) {
      chosen.push_back(&container);
      width = std::max(width, container.service.size());
    }
  std::mutex mutex;
  bool failed = false;
  const Deadline until(Clock::time_point::max(), session.interrupt.token());
  const auto show = [&](const deploy::Container& container) {
    const auto prefix = bare ? std::string() : fmt::format("{:{}} | ", container.service, width);
    Lines out(mutex, prefix), err(mutex, prefix);
    const auto done = session.engine->logs(
        container.id, query,
        [&](std::string_view piece) -> Result<void> { out.take(piece); return {}; },
        [&](std::string_view piece) -> Result<void> { err.take(piece); return {}; }, until);
    if (!done && !until.stopped()) {
      const std::lock_guard lock(mutex);
      failed = true;
      fmt::print(stderr, "datamancy: logs of {}: {}\n", container.service, done.error().message);
    }
  };
  if (!query.follow) {
    for (const auto* container : chosen) show(*container);
  } else {
    std::vector<std::jthread> threads;
    for (const auto* container : chosen) threads.emplace_back([&, container] { show(*container); });
  }
  return session.interrupt.happened() ? kInterrupted : failed ? kFailed : kClean;
}

}  // namespace dm::cli

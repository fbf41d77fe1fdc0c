#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "base/json.hpp"
#include "cli/session.hpp"
#include "compose/units.hpp"
#include "deploy/look.hpp"

namespace dm::cli {
namespace {

/// Whole lines of one stream, each with its prefix, never torn between threads.
class Lines {
 public:
  /// `json`: each line is the end of the object that `prefix` begins.
  Lines(std::mutex& mutex, std::string prefix, bool json) : mutex_(mutex), prefix_(std::move(prefix)), json_(json) {}
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
    std::fflush(stdout);  // whoever follows through a pipe waits for these
    if (rest_.size() > (1U << 20U)) {
      print(rest_);
      rest_.clear();
    }
  }

 private:
  void print(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (!json_) {
      fmt::print("{}{}\n", prefix_, line);
      return;
    }
    std::string text;
    json_quote(text, line);
    fmt::print("{}{}}}\n", prefix_, text);
  }
  std::mutex& mutex_;
  std::string prefix_, rest_;
  bool json_;
};

std::int64_t now_ns() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// After its end: whether somebody starts the container again, for which one that keeps restarting is waited for.
bool runs_again(engine::Engine& engine, const std::string& id, const Deadline& until) {
  while (!until.stopped()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const auto container = engine.container(id, Deadline::in(std::chrono::seconds(30), until.stop()));
    if (!container || (!container->restarting && !container->running)) return false;
    if (container->running && !container->restarting) return true;
  }
  return false;
}

}  // namespace

int logs(Args& args) {
  engine::LogQuery query;
  query.follow = args.has("--follow");
  query.timestamps = args.has("--timestamps");
  const bool bare = args.has("--no-prefix"), json = args.has("--json");
  std::chrono::nanoseconds since{0};
  std::string tail;
  std::int64_t lines = -1;
  std::vector<std::string> names;
  if ((args.option("--tail", tail) || args.option("-n", tail)) && tail != "all" && !whole_number("--tail", tail, 0, std::numeric_limits<int>::max(), lines)) return kUsage;
  query.tail = static_cast<int>(lines);
  if (!take_duration(args, "--since", since) || !take_names(args, "logs", names)) return kUsage;
  if (since.count() > 0) query.since = now_ns() - since.count();
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
  for (const auto& name : names)
    if (std::ranges::find(chosen, name, [](const auto* container) -> const std::string& { return container->service; }) == chosen.end()) fmt::print(stderr, "note: {} has no container\n", name);
  std::mutex mutex;
  bool failed = false;
  const Deadline until(Clock::time_point::max(), session.interrupt.token());
  const auto show = [&](const deploy::Container& container) {
    const auto prefix = [&](std::string_view stream) {
      if (!json) return bare ? std::string() : fmt::format("{:{}} | ", container.service, width);
      std::string begin = "{\"service\":";
      json_quote(begin, container.service);
      begin += ",\"container\":";
      json_quote(begin, container.name);
      return begin + fmt::format(",\"stream\":\"{}\",\"text\":", stream);
    };
    Lines out(mutex, prefix("out"), json), err(mutex, prefix("err"), json);
    auto own = query;
    Result<void> done;
    do {
      done = session.engine->logs(
          container.id, own,
          [&](std::string_view piece) -> Result<void> { out.take(piece); return {}; },
          [&](std::string_view piece) -> Result<void> { err.take(piece); return {}; }, until);
      own.since = now_ns();  // one that is started again goes on from here
      own.tail = -1;
    } while (done && own.follow && runs_again(*session.engine, container.id, until));
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

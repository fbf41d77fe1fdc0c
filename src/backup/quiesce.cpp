#include "backup/quiesce.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/files.hpp"
#include "sources/files.hpp"

namespace dm::backup {
namespace {

Result<void> go_on(engine::Engine& engine, const Still& still) {
  const auto soon = Deadline::in(std::chrono::minutes(2));
  const auto now = engine.container(still.container, soon);
  if (!now && now.error().code == Errc::not_found) return {};  // it went meanwhile: nothing is to go on
  if (!now) return fail(now.error());
  if (still.stop) return now->running ? Result<void>() : engine.start(still.container, soon);
  return now->paused ? engine.unpause(still.container, soon) : Result<void>();
}

Result<void> forget(const std::string& record) {
  if (!record.empty() && ::unlink(record.c_str()) != 0 && errno != ENOENT) return fail(errno_error("remove " + record, errno));
  return {};
}

}  // namespace

Result<void> Quiesce::begin(const Deadline& deadline) {
  if (stills_.empty()) return {};
  // Nothing is paused that does not run, and nothing is woken that somebody else let stand still.
  std::vector<Still> run;
  for (const auto& still : stills_) {
    const auto now = engine_.container(still.container, deadline);
    if (!now && now.error().code != Errc::not_found) return fail(now.error());
    if (now && now->running && !now->paused) run.push_back(still);
  }
  stills_ = std::move(run);
  if (stills_.empty()) return {};
  std::string text;
  for (const auto& still : stills_) text += fmt::format("{} {}\n", still.stop ? "stop" : "pause", still.container);
  if (!record_.empty()) {
    DM_CHECK(wake_up(engine_, record_));  // what could not go on before is not forgotten
    DM_CHECK(write_atomic(record_, text, 0600));
  }
  begun_ = true;
  if (limit_.count() > 0) watch_ = std::thread([this] { watch(); });
  for (const auto& still : stills_) {
    const std::lock_guard lock(mutex_);
    if (expired_) return fail(Errc::timeout, fmt::format("the limit of {} s passed before all that has to stand still did", limit_.count()));
    DM_CHECK(during("letting it stand still for its backup", still.stop ? engine_.stop(still.container, -1, deadline) : engine_.pause(still.container, deadline)));
  }
  return {};
}

/// On a thread of its own: who copies may wait for a network for hours.
void Quiesce::watch() {
  std::unique_lock lock(mutex_);
  if (over_.wait_for(lock, limit_, [&] { return ended_; })) return;
  expired_ = true;
  while (!ended_ && !all_go_on()) over_.wait_for(lock, std::chrono::seconds(5), [&] { return ended_; });  // an engine that is busy is asked again
}

bool Quiesce::expired() const {
  const std::lock_guard lock(mutex_);
  return expired_;
}

Result<void> Quiesce::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  over_.notify_all();
  if (watch_.joinable()) watch_.join();
  const std::lock_guard lock(mutex_);
  return all_go_on();
}

Result<void> Quiesce::all_go_on() {
  if (!begun_) return {};
  Result<void> out;
  for (const auto& still : stills_)
    if (auto went = go_on(engine_, still); !went) out = during(fmt::format("letting container {} go on", still.container.substr(0, 12)), std::move(went));
  if (out) out = forget(record_);
  begun_ = !out;
  return out;
}

Result<std::size_t> wake_up(engine::Engine& engine, const std::string& record) {
  const auto text = sources::disk().read(record);
  if (!text) return text.error().code == Errc::not_found ? Result<std::size_t>(std::size_t{0}) : fail(text.error());
  std::size_t count = 0;
  Result<void> left;
  for (std::string_view rest = *text; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto cut = line.find(' ');
    if (cut == std::string_view::npos) continue;
    const std::string container(line.substr(cut + 1));
    if (auto went = go_on(engine, {.container = container, .stop = line.substr(0, cut) == "stop"}); !went) left = during(fmt::format("letting container {} go on", container.substr(0, 12)), std::move(went));
    else ++count;
  }
  DM_CHECK(left);
  DM_CHECK(forget(record));
  return count;
}

}  // namespace dm::backup

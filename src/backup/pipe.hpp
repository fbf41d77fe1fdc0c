/// Joins one who pushes a stream to one who pulls it, each on a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/io.hpp"

namespace dm::backup {

constexpr std::string_view kNobodyReads = "nobody reads the stream any more";

/// Holds at most about `limit` bytes: who is faster waits. The reader learns the end only from `finish`: a writer that fails calls
/// `fail_with`, and the reader's next pull gives that error, never an end.
class Pipe {
 public:
  explicit Pipe(std::size_t limit = 4U << 20U) : limit_(limit) {}

  Result<void> push(std::string_view bytes) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return held_.size() < limit_ || closed_; });
    if (closed_) return fail(Errc::conflict, std::string(kNobodyReads));
    const auto before = held_.size();
    held_.append(bytes);
    const bool wanted = before == 0 || (before < kBatch && held_.size() >= kBatch);
    lock.unlock();
    if (wanted) more_.notify_one();
    return {};
  }
  void finish() { end(std::nullopt); }
  void fail_with(Error error) { end(std::move(error)); }

  /// What has come, at most about `limit`; empty = the end. Waits a moment for a batch: an engine's stream comes in pieces of 32 KiB, and
  /// waking this thread and the program behind it for each costs more than the bytes do.
  Result<std::string> pull() {
    std::unique_lock lock(mutex_);
    more_.wait(lock, [&] { return !held_.empty() || ended_; });
    more_.wait_for(lock, std::chrono::milliseconds(10), [&] { return held_.size() >= kBatch || ended_; });
    if (error_) return fail(*error_);
    std::string out;
    out.swap(held_);
    lock.unlock();
    room_.notify_one();
    return out;
  }
  /// The reader has gone: pushing fails from now on.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
  }

 private:
  static constexpr std::size_t kBatch = 256U << 10U;

  void end(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    error_ = std::move(error);
    more_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable more_, room_;
  std::string held_;
  std::size_t limit_;
  bool ended_ = false, closed_ = false;
  std::optional<Error> error_;
};

/// Lets `produce` push into the pipe, and ends it: well only where `produce` succeeded and `approve` then did.
template <class Produce, class Approve>
Result<void> produce_into(Pipe& pipe, Produce&& produce, Approve&& approve) {
  Result<void> produced;
  try {
    produced = produce(Sink([&](std::string_view bytes) { return pipe.push(bytes); }));
    if (produced) produced = approve();
  } catch (const std::exception& error) {  // of a library: one stream fails, not the whole run
    produced = fail(Errc::failed, error.what());
  }
  if (produced) pipe.finish();
  else pipe.fail_with(produced.error());
  return produced;
}

/// Runs `produce` (which pushes into its sink) and `consume` (which pulls from its source) at the same time. The reader sees the
/// end only where `produce` succeeded and `approve` then did: an error of either reaches it in place of the end. Gives the error of
/// the producer first, since a failed reader is mostly its consequence, else what `consume` gave.
template <class Produce, class Approve, class Consume>
auto stream_between(Produce&& produce, Approve&& approve, Consume&& consume) -> decltype(consume(Source())) {
  Pipe pipe;
  Result<void> produced;
  std::thread producer([&] { produced = produce_into(pipe, produce, approve); });
  struct Join {  // also where `consume` throws
    Pipe& pipe;
    std::thread& thread;
    ~Join() {
      pipe.close();
      if (thread.joinable()) thread.join();
    }
  } join{pipe, producer};
  auto consumed = consume(Source([&] { return pipe.pull(); }));
  pipe.close();
  producer.join();
  if (!consumed && !produced && produced.error().message != kNobodyReads) return fail(produced.error());
  if (consumed && !produced) return fail(produced.error());  // it took an end that was none
  return consumed;
}

/// A reader that is at work before there is anything to read: a program that takes a while to start does so meanwhile. `consume` runs
/// on a thread of its own from the beginning.
template <class Given>
class Ahead {
 public:
  explicit Ahead(std::function<Given(const Source&)> consume) : thread_([this, consume = std::move(consume)] {
    given_.emplace(consume(Source([this] { return pipe_.pull(); })));
    pipe_.close();
    over_ = true;
  }) {}
  /// Where nothing was ever streamed, the reader learns that as an error, never as an end.
  ~Ahead() {
    if (!thread_.joinable()) return;
    pipe_.fail_with({Errc::conflict, "it was not needed", {}});
    thread_.join();
  }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;
  /// The reader has ended by itself: it failed.
  bool over() const { return over_; }

  /// As `stream_between`, once, up to where the reader has been told the end: it may still be busy with it.
  template <class Produce, class Approve>
  void feed(Produce&& produce, Approve&& approve) {
    produced_ = produce_into(pipe_, produce, approve);
  }
  /// Waits for the reader's answer to what it was fed.
  Given answer() {
    thread_.join();
    if (!produced_ && (*given_ || produced_.error().message != kNobodyReads)) return fail(produced_.error());
    return *std::move(given_);
  }
  template <class Produce, class Approve>
  Given stream(Produce&& produce, Approve&& approve) {
    feed(produce, approve);
    return answer();
  }

 private:
  Pipe pipe_;
  Result<void> produced_;
  std::optional<Given> given_;
  std::atomic<bool> over_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace dm::backup

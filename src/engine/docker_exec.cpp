// Commands in running containers, and how we know that their output is whole.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "engine/docker_client.hpp"
#include "engine/frames.hpp"

namespace dm::engine {
namespace {

/// Tells whether the engine can have cut the stream. It does so two seconds after the command's end, wherever its reader is then; it
/// buffers about 1.3 MB, pipes and sockets some more. So all is whole if, from the last 4 MB on, everything that lay in those buffers
/// was always taken within a second.
class Promptness {
 public:
  /// Before each read; `total` = bytes so far.
  void look(std::uint64_t total) {
    const auto now = Clock::now();
    if (total - drained_bytes_ >= kBuffers) drained(total);
    if (now - drained_ > std::chrono::milliseconds(1000)) {
      doubt_ = true;
      doubt_bytes_ = total;
    } else if (doubt_ && total - doubt_bytes_ > kBuffers) {
      doubt_ = false;  // made after we were slow: the command lived on
    }
  }
  /// Nothing was left to take.
  void drained(std::uint64_t total) {
    drained_ = Clock::now();
    drained_bytes_ = total;
  }
  bool whole() const { return !doubt_; }

 private:
  static constexpr std::uint64_t kBuffers = 4U << 20U;
  Clock::time_point drained_ = Clock::now();
  std::uint64_t drained_bytes_ = 0, doubt_bytes_ = 0;
  bool doubt_ = false;
};

/// $1 is the mark; the command follows. Constant: no value is spliced into it.
constexpr const char* kGuardWaiting = R"(m=$1; shift; "$@" </dev/null; c=$?; printf '%s%d.' "$m" "$c"; read -r x; exit "$c")";
constexpr const char* kGuardFed = R"(m=$1; shift; "$@"; c=$?; printf '%s%d.' "$m" "$c"; exit "$c")";

std::string new_mark() {
  std::random_device random;
  return fmt::format("\x01" "dm-end-{:08x}{:08x}{:08x} ", random(), random(), random());
}

/// Holds back what may be the trailer, and recognises it at the end.
class Tail {
 public:
  explicit Tail(std::string mark) : mark_(std::move(mark)), limit_(mark_.size() + 4) {}
  bool wanted() const { return !mark_.empty(); }
  /// Passes on what can no longer be the trailer.
  Result<void> add(std::string_view bytes, const Sink& out) {
    if (!held_.empty()) {  // seldom: only what begins like the mark waits
      held_.append(bytes);
      std::string all;
      all.swap(held_);
      return pass(all, out);
    }
    return pass(bytes, out);
  }
  /// The exit code, where the trailer is the last thing held.
  std::optional<int> code() const {
    const auto at = held_.find(mark_);
    if (at == std::string::npos || held_.back() != '.') return std::nullopt;
    int code = 0;
    const auto digits = std::string_view(held_).substr(at + mark_.size(), held_.size() - at - mark_.size() - 1);
    if (digits.empty() || digits.size() > 3) return std::nullopt;
    for (const char c : digits) {
      if (c < '0' || c > '9') return std::nullopt;
      code = code * 10 + (c - '0');
    }
    return code;
  }
  /// What precedes the trailer; all where there is none.
  std::string rest() const { return held_.substr(0, code() ? held_.find(mark_) : std::string::npos); }

 private:
  Result<void> pass(std::string_view bytes, const Sink& out) {
    const auto from = bytes.size() > limit_ ? bytes.size() - limit_ : 0;
    const auto keep = std::min(bytes.find(mark_[0], from), bytes.size());
    held_ = bytes.substr(keep);
    return out(bytes.substr(0, keep));
  }

  std::string mark_;
  std::size_t limit_;
  std::string held_;
};

/// Takes the output apart, keeps or passes it.
class Output {
 public:
  Output(const Exec& command, std::string mark, ExecResult& result) : command_(command), tail_(std::move(mark)), result_(result) {}

  Result<void> piece(bool is_err, std::string_view bytes) {
    if (is_err) return err(bytes);
    if (!tail_.wanted()) return out(bytes);
    return tail_.add(bytes, [this](std::string_view sure) { return out(sure); });
  }
  std::optional<int> trailer() const { return tail_.wanted() ? tail_.code() : std::nullopt; }
  Result<void> finish() { return tail_.wanted() ? out(tail_.rest()) : Result<void>(); }
  const std::string& beginning() const { return beginning_; }
  const std::string& complaint() const { return complaint_; }  ///< beginning of stderr

 private:
  Result<void> out(std::string_view bytes) {
    if (bytes.empty()) return {};
    result_.out_bytes += bytes.size();
    if (beginning_.size() < 1024) beginning_.append(bytes.substr(0, 1024 - beginning_.size()));
    if (command_.out) return command_.out(bytes);
    if (result_.out.size() + bytes.size() > command_.keep) return fail(Errc::invalid_input, fmt::format("the command wrote more than {} bytes", command_.keep));
    result_.out.append(bytes);
    return {};
  }
  Result<void> err(std::string_view bytes) {
    result_.err_bytes += bytes.size();
    if (complaint_.size() < 1024) complaint_.append(bytes.substr(0, 1024 - complaint_.size()));
    if (command_.err) return command_.err(bytes);
    result_.err.append(bytes);
    if (result_.err.size() > command_.keep_err) result_.err.erase(0, result_.err.size() - command_.keep_err);
    return {};
  }

  const Exec& command_;
  Tail tail_;
  ExecResult& result_;
  std::string beginning_;
  std::string complaint_;
};

constexpr std::size_t kPiece = 256U << 10U;  ///< bytes of one read: about what a local socket holds

/// Descendants of a process that have no children themselves.
void leaves(std::int64_t pid, bool top, std::vector<std::int64_t>& out) {
  std::ifstream file(fmt::format("/proc/{0}/task/{0}/children", pid));
  bool parent = false;
  for (std::int64_t child = 0; file >> child && out.size() < 1000;) {
    parent = true;
    leaves(child, false, out);
  }
  if (!parent && !top) out.push_back(pid);
}

bool belongs(std::int64_t pid, const std::string& container_id) {
  std::ifstream file(fmt::format("/proc/{}/cgroup", pid));
  std::stringstream text;
  text << file.rdbuf();
  return container_id.size() >= 12 && text.str().find(container_id) != std::string::npos;
}

/// The runtime's own words, which the engine writes into the command's output.
std::optional<Error> not_started(const std::string& doing, int code, std::string_view words) {
  if (code != 126 && code != 127 && code != -1) return std::nullopt;
  if (!words.starts_with("OCI runtime exec failed") && words.find("runtime exec failed") == std::string_view::npos && !words.starts_with("rpc error")) return std::nullopt;
  auto error = Errc::failed;
  if (words.find("not found") != std::string_view::npos || words.find("no such file") != std::string_view::npos) error = Errc::not_found;
  if (words.find("ermission denied") != std::string_view::npos) error = Errc::denied;
  while (words.ends_with('\n') || words.ends_with('\r')) words.remove_suffix(1);
  return Error{error, fmt::format("{}: it could not be started: {}", doing, words), {}};
}

}  // namespace

/// Ends an exec that nobody waits for any more: the engine itself would let it run on. Only where its processes are ours to see.
Result<void> Docker::end_exec(const std::string& container, const std::string& exec) {
  const auto soon = Deadline::in(std::chrono::seconds(3));
  ExecState state;
  for (;;) {  // an engine under load may not have started it yet
    DM_TRY(const std::string json, get("looking at an exec", "/exec/" + escape(exec) + "/json", {}, soon));
    DM_TRY(state, parse_exec_state(json));
    if (state.known || !options_.local) return {};
    if (state.running && state.pid > 1) break;
    if (soon.passed()) return fail(Errc::timeout, "the engine neither started nor ended it");
    ::poll(nullptr, 0, 50);
  }
  DM_TRY(const Container what, this->container(container, soon));
  // From the leaves up, each reaped by its own parent. A process whose parent goes first becomes a child of the container's process 1,
  // and where that is PostgreSQL's postmaster, a child that it does not know and that a signal ended is a crash to it: it throws out
  // every session and recovers.
  const auto end_one = [&](std::int64_t pid, int signal) {
    if (belongs(pid, what.id)) ::kill(static_cast<pid_t>(pid), signal);
  };
  constexpr int kStep = 20, kPolite = 1500, kLongest = 3000;  // milliseconds
  std::set<std::pair<std::int64_t, int>> told;
  for (int waited = 0; waited < kLongest; waited += kStep) {
    std::vector<std::int64_t> last;
    leaves(state.pid, /*top=*/true, last);
    if (last.empty()) break;
    const int signal = waited < kPolite ? SIGTERM : SIGKILL;
    for (const auto pid : last)
      if (told.insert({pid, signal}).second) end_one(pid, signal);
    ::poll(nullptr, 0, kStep);
  }
  // The first one is a child of the runtime, not of process 1. With its last child gone a shell usually ends by itself.
  for (const int signal : {0, SIGTERM, SIGKILL}) {
    if (signal != 0) end_one(state.pid, signal);
    for (int waited = 0; waited < 500 && belongs(state.pid, what.id); waited += kStep) ::poll(nullptr, 0, kStep);
  }
  return {};
}

Result<ExecResult> Docker::exec(const std::string& id, const Exec& command, const Deadline& deadline) {
  if (command.argv.empty()) return fail(Errc::invalid_input, "no program named");
  const auto doing = fmt::format("running '{}' in '{}'", command.argv[0], id);
  const bool fed = static_cast<bool>(command.in);
  const bool with_stdin = fed || command.guard;
  const auto mark = command.guard ? new_mark() : std::string();
  auto argv = command.argv;
  if (command.guard) {
    std::vector<std::string> guarded{"sh", "-c", fed ? kGuardFed : kGuardWaiting, "sh", mark};
    guarded.insert(guarded.end(), argv.begin(), argv.end());
    argv = std::move(guarded);
  }
  DM_TRY(const HttpResponse made, call(doing, "POST", "/containers/" + escape(id) + "/exec", {}, deadline, render_exec(command, argv, with_stdin)));
  DM_TRY(const std::string exec_id, parse_id(made.body));

  HttpRequest start;
  start.method = "POST";
  start.upgrade = true;
  start.content_type = "application/json";
  start.body = R"({"Detach":false,"Tty":false})";
  auto opened = open(doing, std::move(start), "/exec/" + escape(exec_id) + "/start", {}, deadline);
  if (!opened) {
    const auto code = opened.error().code;
    if (code == Errc::timeout || (code == Errc::conflict && deadline.stopped())) static_cast<void>(end_exec(id, exec_id));
    return fail(std::move(opened).error());
  }
  const auto stream = *std::move(opened);
  std::string rest;
  const auto connection = stream->hijack(rest);

  // Reader here, writer on its own thread; either ends the other through this token.
  std::stop_source both;
  const std::stop_callback outer(deadline.stop(), [&] { both.request_stop(); });
  const Deadline inner(deadline.at(), both.get_token());
  Guarded<std::optional<Error>> feeding;
  std::jthread writer;
  if (fed) {
    writer = std::jthread([&] {
      for (;;) {
        auto piece = command.in();
        if (!piece) {
          feeding.with([&](auto& error) { error = std::move(piece).error(); });
          both.request_stop();
          return;
        }
        if (piece->empty()) break;
        if (!connection->write(*piece, inner)) return;  // it does not want more; how it ended tells
      }
      static_cast<void>(connection->finish_writing());
    });
  }

  ExecResult result;
  Output output(command, mark, result);
  Frames frames([&](bool is_err, std::string_view bytes) { return output.piece(is_err, bytes); });
  Promptness promptness;
  std::uint64_t total = 0;
  bool acknowledged = false;
  auto read = [&]() -> Result<void> {
    std::string buffer(kPiece, '\0');
    DM_CHECK(frames.feed(rest));
    for (;;) {
      if (command.guard && !fed && !acknowledged && frames.at_boundary() && output.trailer()) {
        static_cast<void>(connection->write("\n", inner));  // we have it all: it may go
        static_cast<void>(connection->finish_writing());
        acknowledged = true;
      }
      promptness.look(total);
      const bool waiting = connection->idle();
      DM_TRY(const std::size_t got, connection->read(buffer.data(), buffer.size(), inner));
      if (waiting) promptness.drained(total);
      if (got == 0) return {};
      total += got;
      DM_CHECK(frames.feed(std::string_view(buffer).substr(0, got)));
    }
  };
  auto ended = read();
  both.request_stop();
  if (command.over) command.over();
  if (writer.joinable()) writer.join();
  if (auto error = feeding.with([](auto& kept) { return std::move(kept); })) ended = fail(*std::move(error));
  if (!ended) {
    if (const auto cleaned = end_exec(id, exec_id); !cleaned) ended.error().message += fmt::format("; the command may still run: {}", cleaned.error().message);
    return during(doing, Result<ExecResult>(fail(std::move(ended).error())));
  }
  DM_CHECK(output.finish());

  // The end of the stream says nothing: killed, restarted and removed containers end it as cleanly. Only the exit code does.
  ExecState state;
  const auto patience = deadline.at_most(std::chrono::seconds(10));
  for (int pause = 2;; pause = std::min(pause * 2, 200)) {
    DM_TRY(const std::string json, get(doing, "/exec/" + escape(exec_id) + "/json", {}, deadline));
    DM_TRY(state, parse_exec_state(json));
    if (!state.running && state.known) break;
    if (patience.passed() || patience.stopped()) return fail(Errc::unavailable, doing + ": the stream ended, but the engine does not say how the command did");
    ::poll(nullptr, 0, pause);
  }
  result.exit_code = state.exit_code;
  if (auto error = not_started(doing, state.exit_code, output.beginning())) {
    if (command.guard && error->code == Errc::not_found) {
      error->code = Errc::unsupported;
      error->message += "; this needs a shell in the container";
    }
    return fail(*std::move(error));
  }
  if (!frames.at_boundary()) return fail(Errc::corrupt, doing + ": the stream ended in the middle of a piece: its output is not whole");
  const auto trailer = output.trailer();
  if (command.guard && !trailer && state.exit_code == 0) return fail(Errc::corrupt, doing + ": its output is not whole: the engine lost the end of the stream");
  if (command.guard && trailer && *trailer != state.exit_code && fed == false)
    return fail(Errc::corrupt, fmt::format("{}: it ended with {}, but the engine says {}", doing, *trailer, state.exit_code));
  if (command.guard && trailer && *trailer == 127 && result.out_bytes == 0 && output.complaint().find("not found") != std::string::npos)
    return fail(Errc::not_found, fmt::format("{}: there is no such program: {}", doing, output.complaint().substr(0, 300)));
  result.certain = command.guard ? trailer.has_value() : promptness.whole();
  return result;
}

}  // namespace dm::engine

#include "base/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

extern char** environ;  // NOLINT

namespace dm {
namespace {

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(errno_error("pipe", errno));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> out;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::string name(text.substr(0, text.find('=')));
    if (command.env.contains(name) || std::ranges::find(command.unset, name) != command.unset.end()) continue;
    out.emplace_back(text);
  }
  for (const auto& [name, value] : command.env) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// What the child does between fork and exec: system calls only. Gives the errno of what failed.
int become(const std::vector<std::pair<int, int>>& moves, const char* folder, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) return ESRCH;
  // First above every target, so that no move overwrites the source of another.
  int highest = 3;
  for (const auto& [to, from] : moves) highest = std::max({highest, to, from});
  std::array<int, 64> lifted{};
  for (std::size_t i = 0; i < moves.size(); ++i) {
    lifted[i] = ::fcntl(moves[i].second, F_DUPFD_CLOEXEC, highest + 1);
    if (lifted[i] < 0) return errno;
  }
  for (std::size_t i = 0; i < moves.size(); ++i)
    if (::dup2(lifted[i], moves[i].first) < 0) return errno;
  if (*folder != '\0' && ::chdir(folder) != 0) return errno;
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::signal(number, SIG_DFL);
  return 0;
}

void keep_tail(std::string& tail, std::string_view piece, std::size_t limit) {
  tail.append(piece);
  if (tail.size() > limit) tail.erase(0, tail.size() - limit);
}

/// Writing to a child that has gone must be EPIPE, not a signal that ends us; only for this thread, and undone.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &old_);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() {
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    const timespec at_once{0, 0};
    while (::sigtimedwait(&pipe, nullptr, &at_once) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }

 private:
  sigset_t old_{};
};

/// A started child and our ends of its streams.
struct Child {
  pid_t pid = -1;
  Fd handle;  ///< pidfd
  Fd in, out, err;
};

Result<Child> start(const Command& command, bool feed) {
  if (command.argv.empty()) return fail(Errc::invalid_input, "no program named");
  const auto program = find_program(command.argv[0]);
  if (!program) return fail(Errc::not_found, fmt::format("program '{}' is not in PATH", command.argv[0]));
  DM_TRY(Pipe out, make_pipe());
  DM_TRY(Pipe err, make_pipe());
  DM_TRY(Pipe failure, make_pipe());
  Pipe in;
  if (feed) {
    DM_TRY(Pipe made, make_pipe());
    in = std::move(made);
    // A bulk stream through 64 KiB wakes both sides for every piece; where so much is not allowed, it stays as it is.
    (void)::fcntl(in.write.get(), F_SETPIPE_SZ, 1 << 20);
  } else {
    in.read.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  auto argv_texts = command.argv;
  auto env_texts = environment_of(command);
  const auto argv = pointers(argv_texts);
  const auto env = pointers(env_texts);
  std::vector<std::pair<int, int>> moves{{0, in.read.get()}, {1, out.write.get()}, {2, err.write.get()}};
  for (const auto& [number, descriptor] : command.descriptors) moves.emplace_back(number, descriptor);
  if (moves.size() > 60) return fail(Errc::invalid_input, "too many descriptors for one child");
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(errno_error("fork", errno));
  if (pid == 0) {
    // The pipe that reports failure must survive the moves.
    const int report = ::fcntl(failure.write.get(), F_DUPFD_CLOEXEC, 256);
    int error = become(moves, command.folder.c_str(), parent);
    if (error == 0) {
      ::execve(program->c_str(), argv.data(), env.data());
      error = errno;
    }
    [[maybe_unused]] const auto told = ::write(report, &error, sizeof error);
    ::_exit(127);
  }
  ::setpgid(pid, pid);  // both sides set it, so that it holds whoever is first
  failure.write.reset();
  int error = 0;
  ssize_t got = 0;
  do got = ::read(failure.read.get(), &error, sizeof error);
  while (got < 0 && errno == EINTR);
  if (got == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    return fail(errno_error(fmt::format("run '{}'", command.argv[0]), error));
  }
  Child child;
  child.pid = pid;
  child.handle.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  child.in = std::move(in.write);
  child.out = std::move(out.read);
  child.err = std::move(err.read);
  for (const int fd : {child.in.get(), child.out.get(), child.err.get()})
    if (fd >= 0) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return child;
}

/// Reaps the child if it has ended.
bool reaped(const Child& child, int& status) {
  int raw = 0;
  const pid_t got = ::waitpid(child.pid, &raw, WNOHANG);
  if (got == 0) return false;
  status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  return true;
}

void end(Child& child) {
  int status = 0;
  ::kill(-child.pid, SIGTERM);
  child.in.reset();  // after the signal, so that the end of its input is not taken for the end of the work
  for (int waited = 0; waited < 2000; waited += 20) {
    if (reaped(child, status)) {
      ::kill(-child.pid, SIGKILL);  // grandchildren that stayed
      return;
    }
    ::poll(nullptr, 0, 20);
  }
  ::kill(-child.pid, SIGKILL);
  ::waitpid(child.pid, nullptr, 0);
}

/// Bytes read and written, and ticks of CPU, of all processes of a group: what a program does for whose network nobody answers is next to nothing.
struct Moved {
  std::uint64_t bytes = 0, ticks = 0;
  bool blind = false;  ///< one of them does not show what it moves: a program with capabilities of its own, or of another user
};

Moved moved_by(pid_t group) {
  Moved out;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::string text;
    std::ifstream stat(at->path() / "stat");
    std::getline(stat, text);
    const auto past = text.rfind(')');  // the name before it may hold anything
    if (past == std::string::npos) continue;
    std::istringstream fields(text.substr(past + 1));
    char state = 0;
    long long parent = 0, process_group = 0, skipped = 0;
    std::uint64_t user = 0, system = 0;
    fields >> state >> parent >> process_group;
    for (int i = 0; i < 8; ++i) fields >> skipped;
    fields >> user >> system;
    if (!fields || process_group != group) continue;
    out.ticks += user + system;
    errno = 0;
    const Fd counters(::open((at->path() / "io").c_str(), O_RDONLY | O_CLOEXEC));
    char counted[512];
    const auto size = counters ? ::read(counters.get(), counted, sizeof counted) : -1;
    if (size < 0 && (errno == EACCES || errno == EPERM)) out.blind = true;
    std::istringstream io(std::string(counted, static_cast<std::size_t>(std::max<ssize_t>(size, 0))));
    for (std::string key; io >> key;) {
      std::uint64_t value = 0;
      io >> value;
      if (key == "rchar:" || key == "wchar:") out.bytes += value;
    }
  }
  return out;
}

/// Tells when nothing has moved for too long.
class Stall {
 public:
  Stall(pid_t group, Clock::duration limit) : group_(group), limit_(limit) {}
  void moved() { since_ = Clock::now(); }
  /// After `waited` without a byte of ours.
  bool passed() {
    if (limit_ == Clock::duration::zero()) return false;
    const auto now = Clock::now();
    if (now - seen_ < std::min<Clock::duration>(limit_ / 8, std::chrono::seconds(5)) || now - since_ < limit_ / 8) return false;
    const auto is = moved_by(group_);
    const auto seconds = std::chrono::duration<double>(now - seen_).count();
    const double per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
    // Counters fall where a process of the group has gone.
    if (is.blind || is.bytes < last_.bytes || is.bytes - last_.bytes >= 65536 || is.ticks < ticks_ || static_cast<double>(is.ticks - ticks_) > 0.1 * seconds * per_second) {
      last_ = is;
      since_ = now;
    }
    ticks_ = is.ticks;
    seen_ = now;
    return now - since_ >= limit_;
  }

 private:
  pid_t group_;
  Clock::duration limit_;
  Clock::time_point since_ = Clock::now(), seen_ = Clock::now();
  Moved last_{};
  std::uint64_t ticks_ = 0;
};

/// Moves bytes until both outputs have ended and the child is reaped.
Result<Finished> pump(Child& child, const Streams& streams, Clock::duration limit, const std::stop_token& give_up, const Deadline& deadline) {
  Finished finished;
  std::string piece;     // of stdin
  std::size_t sent = 0;  // of it
  std::array<char, 65536> buffer{};
  bool ended = false;
  Stall stall(child.pid, limit);
  while (child.out || child.err || !ended) {
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (deadline.passed()) return fail(Errc::timeout, "the deadline passed");
    if (give_up.stop_requested()) return fail(Errc::timeout, "it was given up");
    if (child.in && sent == piece.size()) {
      auto next = streams.in();
      stall.moved();
      if (!next) return fail(std::move(next.error()));
      piece = *std::move(next);
      sent = 0;
      if (piece.empty()) child.in.reset();
    }
    // Once the child has ended only what is already in the pipes counts: a grandchild may hold them open for ever.
    pollfd entries[] = {{child.in.get(), POLLOUT, 0}, {child.out.get(), POLLIN, 0}, {child.err.get(), POLLIN, 0}, {ended ? -1 : child.handle.get(), POLLIN, 0}};
    const int ready = ::poll(entries, std::size(entries), ended ? 50 : deadline.poll_ms());
    if (ready < 0 && errno != EINTR) return fail(errno_error("poll", errno));
    if (child.in && (entries[0].revents & (POLLOUT | POLLERR | POLLHUP)) != 0) {
      const auto wrote = ::write(child.in.get(), piece.data() + sent, piece.size() - sent);
      if (wrote > 0) {
        sent += static_cast<std::size_t>(wrote);
        stall.moved();
      }
      if (wrote < 0 && errno != EAGAIN && errno != EINTR) child.in.reset();  // it does not want more
    }
    bool moved = false;
    for (const bool is_out : {true, false}) {
      Fd& from = is_out ? child.out : child.err;
      if (!from || (entries[is_out ? 1 : 2].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      const auto got = ::read(from.get(), buffer.data(), buffer.size());
      if (got == 0) from.reset();
      if (got <= 0) continue;
      moved = true;
      const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
      const Sink& sink = is_out ? streams.out : streams.err;
      if (sink) {
        DM_CHECK(sink(bytes));
      } else if (is_out) {
        if (finished.out.size() + bytes.size() > streams.keep) return fail(Errc::invalid_input, fmt::format("more than {} bytes of output", streams.keep));
        finished.out.append(bytes);
      } else {
        keep_tail(finished.err, bytes, streams.keep_err);
      }
      if (is_out) stall.moved();  // complaints are no progress
    }
    if (stall.passed()) return fail(Errc::timeout, fmt::format("nothing moved for {} s", std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
    if (!ended) {
      ended = reaped(child, finished.status);
    } else if (!moved && ready == 0) {
      break;
    }
  }
  return finished;
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string_view folders = path != nullptr ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  while (!folders.empty()) {
    const auto cut = std::min(folders.find(':'), folders.size());
    const auto file = fmt::format("{}/{}", cut == 0 ? "." : folders.substr(0, cut), name);
    if (::access(file.c_str(), X_OK) == 0) return file;
    folders.remove_prefix(std::min(cut + 1, folders.size()));
  }
  return std::nullopt;
}

Result<Finished> run_process(const Command& command, const Streams& streams, const Deadline& deadline) {
  const NoSigpipe guard;
  DM_TRY(Child child, start(command, static_cast<bool>(streams.in)));
  auto result = pump(child, streams, command.stall, command.give_up, deadline);
  if (!result) {
    end(child);
    return during(fmt::format("running '{}'", command.argv[0]), std::move(result));
  }
  return result;
}

Result<Finished> run_fine(const Command& command, const Streams& streams, const Deadline& deadline) {
  DM_TRY(Finished finished, run_process(command, streams, deadline));
  if (finished.fine()) return finished;
  std::string_view words = finished.err;
  while (words.ends_with('\n')) words.remove_suffix(1);
  if (words.size() > 2000) words = words.substr(words.size() - 2000);
  return fail(Errc::failed, fmt::format("'{}' ended with status {}{}{}", command.argv[0], finished.status, words.empty() ? "" : ": ", words));
}

}  // namespace dm

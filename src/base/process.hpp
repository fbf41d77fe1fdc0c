/// Other programs: started by argv, never by a shell; their streams as functions; ended with us.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/io.hpp"

namespace dm {

struct Command {
  std::vector<std::string> argv;                ///< [0] is looked up in PATH; never a secret in here, `ps` shows it
  std::map<std::string, std::string> env{};     ///< added to our environment; secrets may go here (only root and the owner see it)
  std::vector<std::string> unset{};             ///< taken out of the environment
  std::string folder{};                         ///< working folder; "" = ours
  /// Descriptors that the child sees under the given number (>= 3), e.g. {{3, memfd}}: it reads /dev/fd/3.
  std::map<int, int> descriptors{};
  /// It is ended with `timeout` when for so long nothing moves: no stream of ours, and in its whole process group no 64 KiB read or written and hardly
  /// any computing. While it waits for us nothing counts, nor where one of its processes may not be looked at (/proc/PID/io). 0 = it may wait for ever.
  Clock::duration stall{};
  std::stop_token give_up{};                    ///< stopped = it is ended as one that stands still
};

struct Streams {
  Source in{};   ///< feeds stdin piece by piece; none = /dev/null. A child that stops reading early is no error by itself.
  Sink out{};    ///< gets stdout; none = kept in `Finished::out` up to `keep`
  Sink err{};    ///< gets stderr; none = its last `keep_err` bytes are in `Finished::err`
  std::size_t keep = 64U << 20U;      ///< stdout beyond this is `invalid_input`: the child is ended
  std::size_t keep_err = 16U << 10U;
};

struct Finished {
  int status = 0;       ///< exit status; 128 + signal where a signal ended it
  std::string out{};
  std::string err{};
  bool fine() const { return status == 0; }
};

/// Runs `command` to its end. The child leads a process group of its own, which gets SIGTERM and two seconds later SIGKILL when the
/// deadline passes, the token stops or a stream function fails; it also ends when this process dies (PR_SET_PDEATHSIG). Memory
/// stays bounded. Errors: `not_found` (no such program), `denied`, `timeout`, `conflict` (interrupted), and those of the stream
/// functions. A non-zero exit is not an error here: see `run_fine`. May be called from any thread that lives as long as the child.
Result<Finished> run_process(const Command& command, const Streams& streams = {}, const Deadline& deadline = {});
/// It was ended because nothing moved for `Command::stall`, not by the deadline.
inline bool stood_still(const Result<Finished>& done, const Deadline& deadline) { return !done && done.error().code == Errc::timeout && !deadline.passed(); }

/// The same, where only exit 0 will do: `failed` with the program's name, its status and the last lines of its stderr otherwise.
Result<Finished> run_fine(const Command& command, const Streams& streams = {}, const Deadline& deadline = {});

/// The program's absolute path as PATH has it, or nothing. A name with a slash is taken as it is.
std::optional<std::string> find_program(const std::string& name);

}  // namespace dm

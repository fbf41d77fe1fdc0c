/// A container engine: what may be asked of it and done with it. `docker.hpp` opens the real one, `fake.hpp` is its twin in memory.
///
/// Every call blocks at most until its deadline (`timeout`) or until its token is stopped (`conflict`, "interrupted"). Calls may
/// come from any thread; each stream has a connection of its own, so that a slow consumer holds up nothing else. Further errors:
/// `unavailable` (no engine there, connection lost, engine shutting down), `denied` (permissions of the socket, authorisation
/// plugin), `not_found` (no such container, image ...), `conflict` (name taken, in use, wrong state), `invalid_input`, `failed`
/// (the engine's own words), `unsupported` (this engine cannot), `corrupt` (what came back is no valid answer).
/// The end of a stream is a success only where the engine ended it properly.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.hpp"
#include "base/io.hpp"
#include "base/result.hpp"
#include "engine/values.hpp"

namespace dm::engine {

/// Engine-side selection; empty fields select everything. Fields are joined by "and", the entries of `labels` too.
struct ContainerFilter {
  std::vector<std::string> labels{};    ///< "key" or "key=value"
  std::vector<std::string> names{};     ///< exact names, any of them
  std::vector<std::string> networks{};  ///< any of them
  std::vector<std::string> volumes{};   ///< any of them
  bool all = true;                      ///< also those that do not run
};

/// A command in a running container. There is never a terminal: streams are byte-exact and apart.
struct Exec {
  std::vector<std::string> argv{};      ///< never a secret: it shows in events and inspect
  std::vector<std::string> env{};       ///< "NAME=value", shows in neither
  std::string user{}, working_dir{};
  bool privileged = false;
  Source in{};                          ///< feeds stdin; none = no stdin. Called on a thread of its own until its end or the command's
  std::function<void()> over{};         ///< called once the output has ended: has to wake an `in` that waits for something
  Sink out{};                           ///< none = kept in `ExecResult::out` up to `keep`
  Sink err{};                           ///< none = the last `keep_err` bytes are kept
  std::size_t keep = 16U << 20U;        ///< stdout beyond this is `invalid_input`
  std::size_t keep_err = 16U << 10U;
  /// Makes the end certain. The engine cuts the stream two seconds after the command has ended, even where the reader is not through
  /// with it, and calls that success. With `guard` the command runs under `sh` of the container, which says after it how it ended
  /// and, where no stdin is fed, stays until we have seen that. A missing trailer is `corrupt`: the output is not whole.
  /// Needs a POSIX `sh` in the container (`unsupported` where there is none). Without it, see `ExecResult::certain`.
  bool guard = false;
};

struct ExecResult {
  int exit_code = 0;      ///< 128 + signal where one ended it
  std::string out{}, err{};
  std::uint64_t out_bytes = 0, err_bytes = 0;
  /// The output is known to be whole: the trailer was seen (`guard`), or our side never let the stream wait as long as the engine's
  /// two seconds. Where false the output must not count as complete, whatever the exit code.
  bool certain = false;
  bool fine() const { return exit_code == 0; }
};

struct LogQuery {
  std::int64_t since = 0, until = 0;    ///< Unix nanoseconds; 0 = no bound
  int tail = -1;                        ///< lines; -1 = all
  bool follow = false;                  ///< until the container ends or the call is stopped
  bool timestamps = false;              ///< each line begins with RFC 3339 and a space
};

struct EventQuery {
  std::int64_t since = 0;               ///< replays what the engine remembers (256 events); 0 = only new ones
  std::int64_t until = 0;               ///< ends then; 0 = never
  std::vector<std::string> types{};     ///< "container" ...; empty = all
  std::vector<std::string> actions{};   ///< "die" ...; prefix match where it holds "health_status"
  std::vector<std::string> labels{};
};

struct Stat {
  std::string name{};
  std::uint64_t size = 0;
  std::uint32_t mode = 0;               ///< permission bits
  bool folder = false, symlink = false;
  std::string link_target{};
};

using OnEvent = std::function<Result<void>(const Event& event)>;

class Engine {
 public:
  virtual ~Engine() = default;

  /// How we reach it, and who said so: "unix:///var/run/docker.sock (default)".
  virtual std::string description() const = 0;
  /// Cheap; tells whether it takes connections: one that is shutting down still answers on those that it has.
  virtual Result<void> ping(const Deadline& deadline) = 0;
  virtual Result<Info> info(const Deadline& deadline) = 0;

  // Containers. `id` may be an id, a unique beginning of one, or a name.
  virtual Result<std::vector<ContainerSummary>> containers(const ContainerFilter& filter, const Deadline& deadline) = 0;
  virtual Result<Container> container(const std::string& id, const Deadline& deadline) = 0;
  virtual Result<std::string> create(const NewContainer& wanted, const Deadline& deadline) = 0;  ///< gives the id
  virtual Result<void> start(const std::string& id, const Deadline& deadline) = 0;               ///< fine where it runs already
  /// SIGTERM (or its own signal), then SIGKILL after `grace` seconds (-1 = its own, or 10). Fine where it does not run.
  virtual Result<void> stop(const std::string& id, int grace, const Deadline& deadline) = 0;
  virtual Result<void> kill(const std::string& id, const std::string& signal, const Deadline& deadline) = 0;
  virtual Result<void> restart(const std::string& id, int grace, const Deadline& deadline) = 0;
  virtual Result<void> pause(const std::string& id, const Deadline& deadline) = 0;
  virtual Result<void> unpause(const std::string& id, const Deadline& deadline) = 0;
  /// `force` kills it first; `volumes` removes its anonymous volumes too.
  virtual Result<void> remove(const std::string& id, bool force, bool volumes, const Deadline& deadline) = 0;
  virtual Result<void> rename(const std::string& id, const std::string& name, const Deadline& deadline) = 0;
  /// Waits until it does not run; gives its exit code.
  virtual Result<int> wait(const std::string& id, const Deadline& deadline) = 0;
  virtual Result<void> set_restart_policy(const std::string& id, const RestartPolicy& policy, const Deadline& deadline) = 0;
  /// Changes memory, reservation, swap, CPU and pids limits of a container in place; fields at 0 stay as they are.
  virtual Result<void> set_limits(const std::string& id, const Limits& limits, const Deadline& deadline) = 0;
  /// Host pid and command line of its processes.
  virtual Result<std::vector<std::pair<std::int64_t, std::string>>> processes(const std::string& id, const Deadline& deadline) = 0;

  /// Runs a command to its end. An exit code is no error; that it could not be started is (`not_found`: no such program; `denied`:
  /// not executable; `conflict`: the container does not run), and so is a stream that ended without a known exit code. When the
  /// deadline passes or a stream function fails, the process in the container is ended too, as far as we may.
  virtual Result<ExecResult> exec(const std::string& id, const Exec& command, const Deadline& deadline) = 0;
  /// `out` and `err` get whole pieces as they come; either may be empty. Errors: `unsupported` where the log driver cannot be read.
  virtual Result<void> logs(const std::string& id, const LogQuery& query, const Sink& out, const Sink& err, const Deadline& deadline) = 0;
  /// One sample. Before engine 25 it takes a second at the engine: ask for many at once from several threads.
  virtual Result<Stats> stats(const std::string& id, const Deadline& deadline) = 0;
  /// Tar of a path (of a folder: with its name as the first component); modes, owners, links and xattrs as the engine packs them.
  virtual Result<void> get_archive(const std::string& id, const std::string& path, const Sink& tar, const Deadline& deadline) = 0;
  /// Unpacks a tar into an existing folder.
  virtual Result<void> put_archive(const std::string& id, const std::string& folder, const Source& tar, const Deadline& deadline) = 0;
  virtual Result<Stat> stat(const std::string& id, const std::string& path, const Deadline& deadline) = 0;

  virtual Result<std::vector<Image>> images(const Deadline& deadline) = 0;  ///< id, tags, digests, created, size, labels only
  virtual Result<Image> image(const std::string& name, const Deadline& deadline) = 0;
  virtual Result<void> remove_image(const std::string& name, bool force, const Deadline& deadline) = 0;
  virtual Result<void> tag_image(const std::string& name, const std::string& new_name, const Deadline& deadline) = 0;

  virtual Result<std::vector<Network>> networks(const std::vector<std::string>& labels, const Deadline& deadline) = 0;
  virtual Result<Network> network(const std::string& name, const Deadline& deadline) = 0;
  virtual Result<std::string> create_network(const NewNetwork& wanted, const Deadline& deadline) = 0;
  virtual Result<void> remove_network(const std::string& name, const Deadline& deadline) = 0;
  virtual Result<void> connect(const std::string& network, const std::string& container, const std::vector<std::string>& aliases, const Deadline& deadline) = 0;
  virtual Result<void> disconnect(const std::string& network, const std::string& container, bool force, const Deadline& deadline) = 0;

  virtual Result<std::vector<Volume>> volumes(const std::vector<std::string>& labels, const Deadline& deadline) = 0;
  virtual Result<Volume> volume(const std::string& name, const Deadline& deadline) = 0;
  virtual Result<Volume> create_volume(const std::string& name, const Labels& labels, const Deadline& deadline) = 0;
  virtual Result<void> remove_volume(const std::string& name, bool force, const Deadline& deadline) = 0;

  /// Calls `on_event` for each until the deadline, its stop, `query.until` (then success), or a lost connection (`unavailable`).
  /// `on_subscribed` is called once the engine has accepted the request. The callback must not block: an engine drops the events of
  /// slow readers silently. Most want `EventFeed` (event_feed.hpp) instead, which reads on its own thread and says when to reconcile.
  virtual Result<void> events(const EventQuery& query, const std::function<void()>& on_subscribed, const OnEvent& on_event, const Deadline& deadline) = 0;
  virtual Result<DiskUsage> disk_usage(const Deadline& deadline) = 0;
};

}  // namespace dm::engine

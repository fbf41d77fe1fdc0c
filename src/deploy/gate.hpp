/// The gate of an `up`: which service may start now, which one is ready, which one failed and why. A pure state machine: events,
/// inspections and the clock come in as values, actions go out as values. It never talks to an engine.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.hpp"

namespace dm::deploy {

using std::chrono::milliseconds;

enum class Condition : std::uint8_t { started, healthy, completed };
std::string_view to_string(Condition condition);  ///< "started", "healthy", "completed"

/// One `depends_on`: the dependent waits until `service` meets `condition`.
struct Need {
  std::string service{};
  Condition condition = Condition::started;
  bool required = true;   ///< false: a failed dependency is a warning, the dependent starts anyway
};

/// What an inspection says of one container.
struct Snapshot {
  enum class Status : std::uint8_t { created, running, paused, restarting, removing, exited, dead, gone };
  enum class Health : std::uint8_t { none, starting, healthy, unhealthy };
  Status status = Status::created;
  Health health = Health::none;
  int exit_code = 0;
  std::optional<int> last_exit{};     ///< of a container that runs again: how its run before ended, where that was seen
  bool out_of_memory = false;
  std::int64_t restarts = 0;
  std::string error{};                ///< the engine's own words, e.g. about a port
  milliseconds running_for{0};        ///< by the engine's clock
};

/// One service to bring up, or to watch where it runs already.
struct Job {
  std::string name{};
  std::vector<Need> needs{};
  std::size_t containers = 1;
  bool start = true;          ///< false: it runs already, or is done
  bool one_shot = false;      ///< runs to its end: exit 0 is success, and nothing else is
  bool may_retry = false;     ///< a one-shot that the engine restarts on failure: restarts are no failure
  std::optional<bool> has_check{};  ///< has a healthcheck: running is not enough; nothing = not known yet, see `learn`
  bool early = false;         ///< its check is truthful and read-only: we may ask it ourselves
  milliseconds budget{0};     ///< from start to the engine's verdict, as its healthcheck allows; 0 = unknown
  milliseconds recheck{0};    ///< until its healthcheck has run once more; what was unhealthy before this run gets that long
  milliseconds chain{0};      ///< longest way from its start to the end of everything that waits for it: the longest starts first
};

enum class Phase : std::uint8_t {
  waiting,   ///< for its conditions
  starting,  ///< the start was asked for
  running,   ///< runs; its healthcheck has not answered yet
  early,     ///< its own check passed twice when we asked; dependents go, the engine has to confirm
  ready,     ///< healthy, or running where there is no healthcheck
  done,      ///< a one-shot that exited 0
  failed,
  blocked,   ///< will not start: something that it needs failed
};
std::string_view to_string(Phase phase);
inline bool is_bad(Phase phase) { return phase == Phase::failed || phase == Phase::blocked; }

/// How one service stands, for people and for the end of the run.
struct View {
  Phase phase = Phase::waiting;
  bool stable = false;               ///< ready and past its stability window, or done
  std::string why{};                 ///< what it waits for, or why it failed; "" where nothing needs saying
  std::string first_cause{};         ///< of blocked: the service whose failure began it
  Clock::time_point started{};       ///< when it was seen running
  Clock::time_point passed{};        ///< when dependents were let go
};

struct Action {
  enum class Kind : std::uint8_t { start, probe, end_probe };
  Kind kind = Kind::start;
  std::string service{};
};

class Gate {
 public:
  struct Options {
    milliseconds settle{3000};   ///< a container must run so long without a restart; delays the verdict, never dependents
    milliseconds apart{1000};    ///< between two passes of a check that we ask ourselves
    Clock::time_point deadline = Clock::time_point::max();
    std::string deadline_text{}; ///< how to say it: "10m0s"
  };

  /// Names in `needs` that no job has are taken as met.
  Gate(std::vector<Job> jobs, Options options);

  /// Container `id` of `service` looks like this now. An unknown id is a new container. Of a service that is started, only what
  /// was seen after the start counts: what it was before (exited) must not be given.
  /// `ran_before` = a replica that runs since before this run: its earlier restarts are no failure of this one.
  void seen(std::string_view service, std::string_view id, const Snapshot& snapshot, Clock::time_point now, bool ran_before = false);
  /// What the container says: its image may bring a healthcheck that the files do not have.
  void learn(std::string_view service, bool has_check, milliseconds budget, milliseconds recheck, Clock::time_point now);
  /// The start of a service did not work. `why` is the engine's answer.
  void refused(std::string_view service, std::string why, Clock::time_point now);
  /// The outcome of one run of the service's own check that we asked for.
  void checked(std::string_view service, bool passed, Clock::time_point now);
  /// Time passed: deadlines, budgets, stability.
  void tick(Clock::time_point now);
  /// Gives up on all that is not finished; `why` becomes their reason.
  void give_up(std::string_view why);

  /// What is to be done now; each action is given once.
  std::vector<Action> take_actions();
  /// Everything is ready and stable, done, failed or blocked.
  bool finished() const;
  /// When `tick` is due at the latest.
  Clock::time_point next_tick(Clock::time_point now) const;
  const View& view(std::string_view service) const;
  const std::vector<Job>& jobs() const { return jobs_; }
  /// What a person should know beside the outcome (an early pass that the engine contradicted, an optional dependency that failed).
  const std::vector<std::string>& notices() const { return notices_; }

 private:
  struct One {                 // a container
    Snapshot last{};
    std::int64_t first_restarts = 0;
    Clock::time_point running_since{};
  };
  struct State {
    View view{};
    std::map<std::string, One, std::less<>> containers{};
    Clock::time_point first_seen{};
    bool start_asked = false;
    bool probing = false;
    bool early_done = false;   // contradicted or confirmed: not asked again
    Clock::time_point first_pass{};
  };
  std::size_t index(std::string_view service) const;
  void judge(std::size_t i, Clock::time_point now);
  void fail(std::size_t i, std::string why);
  void advance(Clock::time_point now);
  bool met(const Need& need) const;
  std::string need_text(const Need& need) const;

  std::vector<Job> jobs_;
  Options options_;
  std::vector<State> states_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::vector<Action> actions_;
  std::vector<std::string> notices_;
};

}  // namespace dm::deploy

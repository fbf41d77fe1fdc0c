/// Acts on a plan: Compose creates, we start through the engine as the gate lets go, until everything is stable or has failed.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "deploy/compose_cli.hpp"
#include "deploy/plan.hpp"
#include "deploy/progress.hpp"
#include "engine/engine.hpp"

namespace dm::deploy {

struct UpOptions {
  milliseconds settle{3000};
  std::size_t fan_out = 0;               ///< starts under way at once; 0 = two; see `fan_out_for`
  /// Compose is told of the services of the plan alone. It would recreate what they need, too, where that differs from the files: what
  /// the plan leaves as it is on purpose (--no-deps, --no-recreate), and everything on Podman 4, which gives names of networks where their ids belong.
  bool only_these = false;
  std::string pull{};                    ///< for `docker compose create`
  Clock::time_point deadline = Clock::time_point::max();
  std::string deadline_text{};
  std::chrono::milliseconds away{60000}; ///< an engine that has been away for so long is given up
  std::chrono::milliseconds patience{2000}; ///< while Compose creates, so long those that are made first wait for those with more behind them
};

/// One service at the end.
struct Ended {
  std::string service{};
  View view{};
  std::string exit_text{};               ///< state and exit code of its container
  std::vector<std::string> log{};        ///< of a failed one: its last lines, secrets masked
  std::vector<std::string> health{};     ///< of a failed one: what its healthcheck said, newest last
  std::vector<std::string> waiting{};    ///< services that are blocked because of it
  double seconds = 0;                    ///< from the begin of the run until dependents could go; 0 where it ran before
};

struct UpOutcome {
  bool fine = false;
  bool interrupted = false;
  std::string creation_error{};          ///< what Compose said where it could not create
  std::vector<Ended> services{};         ///< first causes first, then the blocked, then the rest in plan order
  std::vector<std::string> notices{};
  std::vector<Container> containers{};   ///< as they are at the end
  double seconds = 0;                    ///< until the verdict
  double ready_seconds = 0;              ///< until the last service was ready, without the stability window
  double create_seconds = 0;
};

/// Each start keeps about a processor of the engine's machine busy: more at once only delays those on the longest chain. 2 to 8.
inline std::size_t fan_out_for(unsigned processors) { return std::clamp<std::size_t>(processors, 2, 8); }

/// `present` are the containers of the project as the plan saw them, under the project's lock. `deadline` carries the token that interrupts; its moment bounds single calls only (the whole run has `options.deadline`).
/// Errors: the engine cannot be reached at all. What fails inside is in the outcome.
Result<UpOutcome> bring_up(engine::Engine& engine, const ComposeCli& compose, const Plan& plan, const std::vector<Container>& present, const UpOptions& options,
                           Progress& progress, const Deadline& deadline);

/// The end of a run: what became of each service, with the evidence for what failed (in the order of `failures`) and what waited for it. `begin` is when
/// the run began. Asks the engine for at most 20 s.
void conclude(UpOutcome& outcome, const Plan& plan, const Gate& gate, const std::vector<std::string>& failures, Clock::time_point begin, engine::Engine& engine);

/// Log tail and health log of a container, masked. Empty where they cannot be had.
std::vector<std::string> log_tail(engine::Engine& engine, const std::string& id, int lines, const Deadline& deadline);
std::vector<std::string> health_tail(engine::Engine& engine, const std::string& id, const Deadline& deadline);

/// Says that the file system of a local engine's data is full, which fails what runs in odd ways; "" where it is not.
std::string no_room(engine::Engine& engine, const Deadline& deadline);

/// For people: first causes with their evidence, what waits for them, notices, and one line of summary.
std::string outcome_text(const UpOutcome& outcome, const std::string& project);
std::string outcome_json(const UpOutcome& outcome, const std::string& project);

}  // namespace dm::deploy

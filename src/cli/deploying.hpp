/// What `plan`, `up`, `restart` and `rollback` share: options, the plan, and the run with its records.
#pragma once

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "cli/session.hpp"
#include "deploy/bring_up.hpp"
#include "deploy/content.hpp"
#include "deploy/plan.hpp"
#include "deploy/preflight.hpp"

namespace dm::cli {

struct Planned {
  std::vector<std::string> names;                ///< services that were named
  bool with_dependencies = true;                 ///< --no-deps turns it off
  bool early = true;                             ///< --no-early-readiness turns it off
  bool content = true;                           ///< --no-content: mounted files are not compared
  bool accept_difference = false;                ///< --accept-model-difference
  bool repair = false;                           ///< --repair: wait until everything has settled, then restart what is not well
  bool keep = false;                             ///< --no-recreate: what differs stays as it is
  bool remove_orphans = false;                   ///< --remove-orphans
  std::vector<std::string> force;                ///< --recreate NAME
  deploy::Plan plan;
  std::vector<deploy::Container> containers;     ///< as they were seen
  std::vector<deploy::Mounted> mounted;          ///< files whose content counts
  deploy::Digests digests;                       ///< of their content now
  std::vector<std::string> notes;                ///< what could not be told about it
  bool told = false;                             ///< of rotations that were cut off
  std::shared_future<std::string> compose_version;  ///< asked beside the other questions where something will be made; "" = not to be had
};
bool take_plan_options(Args& args, Planned& out);
/// Asks Compose and the engine, compares the models, and plans. False after saying why not.
bool make_plan(Session& session, Args& args, Planned& planned, int& exit);

struct UpRequest {
  Planned planned;
  deploy::UpOptions options;
  std::chrono::nanoseconds timeout{std::chrono::minutes(10)};
  std::chrono::nanoseconds lock_wait{std::chrono::seconds(0)};
  deploy::ProgressForm progress = deploy::ProgressForm::automatic;
  std::uint64_t want_free = 50ULL << 30U;
  bool json = false, dry_run = false, atomic = false, preflight = true;
  bool build = false;                            ///< --build: images are built, whether or not they are here
  bool after_a_cut = false;                      ///< the run before was killed
};
/// The options of `verb`, which is up, restart or rollback, and what it names; false after saying what is wrong.
bool take_up_options(Args& args, std::string_view verb, UpRequest& out);
int run_up(Args& args, UpRequest& request);
/// Services whose images are had anew: by --build, --pull always, or their own `pull_policy`.
struct Fetch {
  std::vector<std::string> pull, build;
  bool any() const { return !pull.empty() || !build.empty(); }
};
Fetch wanted_images(const Session& session, const UpRequest& request);
Result<void> fetch_images(const Session& session, const Fetch& wanted, deploy::Progress& progress);
/// Writes the secrets that containers read as files into memory, before containers are made or started. False after saying why not.
bool deliver_secrets(const Session& session, int& exit);
/// Removes files in memory that no secret has any more and no container of the project mounts.
void prune_secrets(const Session& session);
/// Preflight's part about templates: none where the project has none; else what `datamancy render --check` says.
std::vector<deploy::Problem> rendering_problems(const Session& session);
/// Stops and removes the containers of services in `names` that the session's project does not have. Volumes stay.
void remove_services(Session& session, const std::set<std::string, std::less<>>& names);

}  // namespace dm::cli

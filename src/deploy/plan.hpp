/// What an `up` will do, decided from the files and from what was observed, before anything is touched. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "deploy/container.hpp"
#include "wiring/wiring.hpp"

namespace dm::deploy {

enum class Change : std::uint8_t {
  none,      ///< runs as wanted, or is done
  create,    ///< no container yet, or too few
  recreate,  ///< the container differs from what is wanted
  start,     ///< there, but not running
  restart,   ///< runs, and follows a dependency that is recreated (`restart: true`)
};
std::string_view to_string(Change change);

struct Step {
  std::string service{};
  Change change = Change::none;
  bool forced = false;                ///< Compose would see no difference: it has to be told (--force-recreate)
  std::string why{};                  ///< "new", "its configuration changed", "content of ./Caddyfile changed" ...
  std::string by_compose{};           ///< why Compose itself has to start it; "" = we start it
  std::vector<std::string> ids{};     ///< of its containers that exist
  std::size_t containers = 1;         ///< wanted
  Job job{};                          ///< for the gate
};

/// A container that is removed; the others of its service stay as they are.
struct Surplus {
  std::string id{}, name{}, service{};
  std::string why{};  ///< "more than its service wants", "its service is not in the files"
};

struct Plan {
  std::string project{};
  std::vector<Step> steps{};          ///< dependencies first
  std::vector<Surplus> surplus{};
  /// Why it must not be carried out; "" = it may. A network has to be made anew, and who is on it is not all in the plan.
  std::string refusal{};
  std::vector<std::string> orphans{}; ///< names of containers of this project whose service is gone from the files
  bool changes() const;               ///< anything to do at all
  std::size_t count(Change change) const;
  const Step* step(std::string_view service) const;
  /// The longest chain of waiting, first service first, by the budgets of the healthchecks.
  std::vector<std::string> longest_chain{};
};

struct PlanInput {
  const wiring::Wiring& wiring;                        ///< of the loaded project
  std::set<std::string, std::less<>> services{};       ///< chosen, closed over dependencies: see `choose`
  std::map<std::string, std::string> hashes{};         ///< `docker compose config --hash '*'`
  std::map<std::string, std::string> images{};         ///< image reference -> id that it has on the engine now
  std::map<std::string, std::vector<std::string>> changed_content{};  ///< service -> mounted files that are not what they were
  std::map<std::string, std::string, std::less<>> changed_networks{};  ///< key of a network -> how it differs from the files
  std::vector<Container> containers{};
  std::set<std::string, std::less<>> force{};          ///< to recreate whatever happens
  bool repair = false;                                 ///< what runs but is unhealthy or keeps restarting is restarted
  bool keep = false;                                   ///< nothing is recreated; what differs is said
  bool remove_orphans = false;                         ///< containers whose service is gone from the files are removed
  bool early = true;                                   ///< --no-early-readiness turns it off
};

/// The enabled services, or those named with everything that they need. Errors: `not_found` with the nearest names.
Result<std::set<std::string, std::less<>>> choose(const compose::Project& project, const std::vector<std::string>& names, bool with_dependencies = true);
/// The profiles that naming these services switches on, as in Compose.
std::vector<std::string> profiles_of(const compose::Project& project, const std::vector<std::string>& names);

Plan plan(const PlanInput& input);

/// The image that a service runs: `image:`, or what Compose calls the one that it builds.
std::string image_of(const compose::Project& project, const compose::Service& service);
/// Replicas: `scale`, `deploy.replicas`, else 1.
std::size_t replicas_of(const compose::Service& service);
/// Why Compose itself must start the service (content that it injects at start, hooks, ...); "" = it need not.
std::string started_by_compose(const compose::Project& project, const compose::Service& service);
/// It lives in the network (or processes, or shared memory) of `other`, and is cut off when that is started anew, until it is, too.
bool shares_namespace(const compose::Service& service, std::string_view other);
/// Its healthcheck may be asked by us while it starts: product data, or `x-datamancy: {early_readiness: true}`, says that it is
/// truthful and changes nothing; and its interval is long enough for it to matter.
bool early_allowed(const compose::Service& service, const product::Product* product);

std::string plan_text(const Plan& plan);
std::string plan_json(const Plan& plan);

}  // namespace dm::deploy

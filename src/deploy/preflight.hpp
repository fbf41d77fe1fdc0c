/// Everything that would stop an `up`, or hurt it, named at once with its mend. Judging is pure over what was gathered before.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "deploy/plan.hpp"
#include "engine/engine.hpp"
#include "host/host.hpp"

namespace dm::deploy {

/// What the machine and the engine look like; optional parts are empty where they could not be had.
struct Surroundings {
  engine::Info engine{};
  bool local = true;                          ///< the engine runs on this machine: paths, ports and settings are its own
  std::string compose_version{};              ///< "" = none
  std::string compose_trouble{};
  struct Room {
    host::Disk disk{};
    std::vector<std::string> of{};            ///< "the engine's data", "volume media", ...
  };
  std::vector<Room> rooms{};                  ///< one a file system
  std::vector<host::Listener> listening{};
  struct Published {
    engine::Port port{};
    std::string container{};
    bool ours = false;                        ///< belongs to this project
  };
  std::vector<Published> published{};
  std::map<std::string, std::string> foreign{};  ///< names of containers that are not of this project: "of project 'shop'", "of no project"
  std::map<std::string, std::optional<std::uint64_t>> kernel{};   ///< settings that products of the project need
  struct ImageHere {
    std::string id{}, os{}, arch{};
  };
  std::map<std::string, ImageHere> images{};  ///< by reference; those that are here
  std::vector<engine::Network> networks{};
  std::map<std::string, engine::Volume> volumes{};  ///< by name
  std::set<std::string> missing_paths{};      ///< devices of local bind volumes, files of secrets and configs that are not there
  std::map<std::string, sources::Kind> outside{};  ///< what the sources of bind mounts are that lie outside of the project
  std::uint64_t memory_available = 0;
  std::optional<bool> clock_synchronised{};
  bool systemd = true;                        ///< runs on this machine
  std::vector<std::string> gpus{};            ///< of this machine
  std::int64_t now = 0;                       ///< our clock, Unix nanoseconds
};

struct Problem {
  std::string check{};     ///< "disk", "ports" ...
  bool blocks = false;     ///< the `up` cannot succeed with it
  std::string what{}, mend{};
};

struct PreflightInput {
  const wiring::Wiring& wiring;
  const std::set<std::string, std::less<>>& services;   ///< chosen
  const Surroundings& around;
  std::uint64_t want_free = 50ULL << 30U;               ///< bytes, on every file system that the stack writes to
  bool may_pull = true;
};

/// One of the things that are looked at. The list is preflight.cpp.
struct PreflightCheck {
  std::string_view name, looks_at;
  void (*check)(const PreflightInput& input, std::vector<Problem>& out);
};
std::vector<PreflightCheck> preflight_checks();

std::vector<Problem> preflight(const PreflightInput& input);
bool blocked(const std::vector<Problem>& problems);

/// Asks engine, Compose and machine. Errors: the engine's.
Result<Surroundings> gather(engine::Engine& engine, const wiring::Wiring& wiring, const std::set<std::string, std::less<>>& services, const Deadline& deadline);

std::string preflight_text(const std::vector<Problem>& problems);
std::string preflight_json(const std::vector<Problem>& problems);

/// "52.4 GB"
std::string size_text(std::uint64_t bytes);

}  // namespace dm::deploy

/// The checklist before a deploy goes live: each item passes with evidence, fails with it, or is unknown. Judging is pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/container.hpp"
#include "host/host.hpp"
#include "state/proof.hpp"
#include "wiring/wiring.hpp"

namespace dm::deploy {

enum class Answer : std::uint8_t { pass, fail, unknown, not_applicable };
std::string_view to_string(Answer answer);  ///< "pass", "fail", "unknown", "not applicable"

/// What the engine says of a container beyond `Container`, and what the kernel has in force.
struct InForce {
  std::int64_t memory_configured = 0;             ///< of the container's host configuration; 0 = none
  std::optional<std::uint64_t> memory_cgroup{};   ///< of its control group; nothing where it cannot be read; UINT64_MAX = none
  std::string log_driver{};
  std::map<std::string, std::string> log_options{};
};

/// The outcome of something that was tried now: a login, a question to the daemon.
struct Tried {
  Answer answer = Answer::unknown;
  std::string evidence{};
};

struct CheckInput {
  const wiring::Wiring& wiring;
  const std::set<std::string, std::less<>>& services;
  std::vector<Container> containers{};
  std::map<std::string, InForce> in_force{};      ///< by container id
  std::vector<std::pair<host::Disk, std::string>> rooms{};
  bool local = true;                              ///< disks and cgroups are those of the engine's machine
  std::uint64_t want_free = 50ULL << 30U;
  std::vector<std::string> weak_checks{};         ///< findings of the audit about healthchecks, open ones
  std::vector<std::string> plain_secrets{};       ///< findings about readable secrets, open ones
  std::vector<std::string> sealed_files{};        ///< recognised by their content
  bool has_secrets = false;
  Tried gpu{}, login{}, orchestrator{};
  std::vector<state::Proof> proofs{};             ///< the newest of each
  state::Present present{};                       ///< as things are now
  std::int64_t now = 0;                           ///< Unix seconds
  std::vector<std::string> pending{};             ///< what an up would change
  std::vector<std::string> obstacles{};           ///< what preflight finds
};

struct CheckItem {
  std::string id{};           ///< "O31"
  std::string title{};
  Answer answer = Answer::unknown;
  std::string evidence{};     ///< one line
  std::vector<std::string> details{};
  std::string prove{};        ///< what would tell, where it is unknown or fails
  std::string control{};      ///< of readiness, which a pass proves; "" = none
};

std::vector<CheckItem> check(const CheckInput& input);
bool all_pass(const std::vector<CheckItem>& items);   ///< nothing fails, nothing is unknown

std::string check_text(const std::vector<CheckItem>& items, const std::string& project);
std::string check_json(const std::vector<CheckItem>& items, const std::string& project);

/// What proofs are bound to: engine, images and configuration of all containers as a whole, and of each service.
state::Present present_of(std::string_view engine_id, const std::vector<Container>& containers);

}  // namespace dm::deploy

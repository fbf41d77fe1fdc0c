#include "readiness/observed.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::readiness {
namespace {

/// Why the facts do not tell about a control; "" = they do. The controls that live rules judge.
struct Covered {
  std::string_view control;
  std::string_view says;
  bool (*told)(const facts::Facts& facts);
};

bool containers(const facts::Facts& facts) { return !facts.containers.empty(); }
bool settled(const facts::Facts& facts) {  // what is still starting may yet turn out unhealthy
  return containers(facts) && std::ranges::none_of(facts.containers, [](const auto& one) { return one.health == "starting"; });
}
bool all_limited(const facts::Facts& facts) {  // DM1004 compares what the files declare; proven is only that each has a limit
  return containers(facts) && std::ranges::none_of(facts.containers, [](const auto& one) { return one.state == "running" && !one.oneoff && one.memory_limit == 0; });
}
/// Every service of the files that Compose would start now has a container, and each container is of the files as they are.
bool applied(const facts::Facts& facts) {
  if (facts.config_hashes.empty()) return false;
  return std::ranges::all_of(facts.config_hashes, [&](const auto& wanted) {
    bool any = false;
    for (const auto& one : facts.containers) {
      if (one.service != wanted.first || one.oneoff) continue;
      if (one.config_hash != wanted.second) return false;
      any = true;
    }
    return any;
  });
}
bool disks(const facts::Facts& facts) { return !facts.host.disks.empty(); }

constexpr Covered kCovered[] = {
    {kApplied, "what runs is of these files", applied},
    {"R42", "no container is missing, stopped, unhealthy or restarting", settled},
    {"R47", "each running container has its memory limit", all_limited},
    {"R50", "each running container rotates its log", containers},
    {"R52", "the disks of the engine and of the volumes have room", disks},
};

}  // namespace

std::vector<state::Proof> observed_proofs(const facts::Facts& facts) {
  std::vector<state::Proof> out;
  for (const auto& covered : kCovered) {
    if (!covered.told(facts)) continue;
    state::Proof proof;
    proof.control = covered.control;
    proof.result = state::Outcome::verified;
    proof.evidence = fmt::format("{} ({} containers)", covered.says, facts.containers.size());
    proof.made = facts.observed;
    proof.expires = facts.observed + kLookHolds;
    proof.binding.engine = facts.engine.id;
    proof.command = "datamancy audit --live";
    out.push_back(std::move(proof));
  }
  return out;
}

}  // namespace dm::readiness

/// What a look at the running stack proves: facts as proofs, good for as long as the look is fresh.
#pragma once

#include "facts/facts.hpp"
#include "readiness/control.hpp"

namespace dm::readiness {

/// How long a look counts, in seconds.
inline constexpr std::int64_t kLookHolds = 24 * 3600;

/// A proof for each control that live rules judge and that the facts cover; findings outweigh them in `assess`. What the facts do not
/// cover (no disks seen, containers without any limit) gives none. Pure.
std::vector<state::Proof> observed_proofs(const facts::Facts& facts);

}  // namespace dm::readiness

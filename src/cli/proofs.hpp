/// Proofs of a project's store, for verbs that judge files and would like to know what was proven on the running stack.
#pragma once

#include <optional>

#include "cli/verbs.hpp"
#include "readiness/control.hpp"

namespace dm::cli {

/// Nothing where no store has this project, or where the engine cannot be asked (a proof is worth nothing without knowing what runs).
std::optional<readiness::Proofs> stored_proofs(Args& args, const std::string& project);

}  // namespace dm::cli

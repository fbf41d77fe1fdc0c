/// The rules about the engine's settings; their table is in the .cpp.
#pragma once

#include <span>

#include "audit/live.hpp"

namespace dm::audit::rules {

/// In order of ids; they live as long as the program.
std::span<const LiveRule> daemon_settings();

}  // namespace dm::audit::rules

/// Checks on the whole project: references that lead nowhere, circles, names that clash. Internal to the module.
#pragma once

#include "compose/stages.hpp"

namespace dm::compose {

/// Each config and secret has exactly one source. Compose checks this also with `--no-consistency`.
void check_sources(Context& context);
/// In lenient mode, what depends on the chosen profiles is a warning.
void check_consistency(Context& context);

}  // namespace dm::compose

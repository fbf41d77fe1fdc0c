/// Looks at a running project.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "facts/facts.hpp"

namespace dm::observe {

struct Wanted {
  std::string project{};               ///< Compose's project name
  std::vector<std::string> images{};   ///< as the project names them
  std::vector<std::string> paths{};    ///< absolute paths whose disks matter (bind sources)
  std::string socket{};                ///< of a local engine; "" = it is elsewhere, and so is its machine
};

/// Errors: those of the engine's list and info; what fails for one container or one file is in `Facts::unknown`.
Result<facts::Facts> observe(engine::Engine& engine, const Wanted& wanted, const Deadline& deadline);

/// One container as the engine tells it; without what only the machine knows. Pure.
facts::Container container_facts(const engine::Container& container);

}  // namespace dm::observe

/// The engine that a verb works with, chosen as the docker CLI chooses it.
#pragma once

#include <memory>

#include "cli/verbs.hpp"
#include "engine/context.hpp"

namespace dm::cli {

/// By -H and --context of `args`, the environment and the docker CLI's files. Nothing is connected yet.
Result<std::unique_ptr<engine::Engine>> open_engine(const Args& args);

}  // namespace dm::cli

/// The part of an `up` that Compose does: what is too many goes, what is missing or differs is made. Nothing is started here.
#pragma once

#include <stop_token>

#include "deploy/bring_up.hpp"

namespace dm::deploy {

struct Created {
  bool fine = false;
  std::string trouble{};                 ///< what Compose or the engine said; "" where all went well
  std::vector<Container> containers{};   ///< of the project, after it; empty where the engine did not answer any more
  Clock::time_point asked{};             ///< when the engine was asked for them
};

/// Blocks until Compose is through. `lines` gets what it prints. `until` bounds the whole and carries the interruption; `stop` bounds the
/// look at what is there afterwards, which is wanted after an interruption, too.
Created create_containers(engine::Engine& engine, const ComposeCli& compose, const Plan& plan, const UpOptions& options, const Sink& lines, const Deadline& until,
                          const std::stop_token& stop);

}  // namespace dm::deploy

#include "deploy/creation.hpp"

#include <fmt/format.h>

#include <thread>

#include "deploy/look.hpp"

namespace dm::deploy {
namespace {

using namespace std::chrono_literals;

Result<void> remove_surplus(engine::Engine& engine, const Plan& plan, const Deadline& until) {
  for (const auto& one : plan.surplus) {
    auto gone = engine.stop(one.id, -1, until);
    if (gone) gone = engine.remove(one.id, false, false, until);
    if (gone || gone.error().code == Errc::not_found) continue;
    auto error = gone.error();
    error.message = fmt::format("{} ({}) was not removed: {}", one.name, one.why, error.message);
    return fail(std::move(error));
  }
  return {};
}

}  // namespace

Created create_containers(engine::Engine& engine, const ComposeCli& compose, const Plan& plan, const UpOptions& options, const Sink& lines, const Deadline& until,
                          const std::stop_token& stop) {
  std::vector<std::string> fresh, again, forced;
  for (const auto& step : plan.steps) {
    if (step.change == Change::create) fresh.push_back(step.service);
    if (step.change == Change::recreate) (step.forced ? forced : again).push_back(step.service);
  }
  const auto one = [&](std::vector<std::string> services, bool force, bool keep) {
    ComposeCli::Create what;
    what.services = std::move(services);
    what.force_recreate = force;
    what.no_recreate = keep;
    what.pull = options.pull;
    what.only_these = options.only_these;
    return compose.create(what, lines, until);
  };
  auto made = remove_surplus(engine, plan, until);
  if (made && !forced.empty()) made = one(forced, true, false);
  const bool keep = again.empty();
  again.insert(again.end(), fresh.begin(), fresh.end());
  if (made && !again.empty()) made = one(again, false, keep);
  Created out{.fine = made.has_value(), .trouble = made ? "" : made.error().message};
  // What is there now. An engine that just went away is waited for: without its answer nobody could say what is missing.
  for (const auto limit = Clock::now() + options.away; !until.stopped(); std::this_thread::sleep_for(200ms)) {
    out.asked = Clock::now();
    if (auto containers = look(engine, plan.project, Deadline::in(30s, stop))) {
      out.containers = *std::move(containers);
      break;
    }
    if (Clock::now() < limit) continue;
    out.fine = false;
    if (out.trouble.empty()) out.trouble = "the engine does not answer any more";
    break;
  }
  return out;
}

}  // namespace dm::deploy

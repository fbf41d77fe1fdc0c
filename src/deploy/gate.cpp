#include "deploy/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace dm::deploy {
namespace {

using Status = Snapshot::Status;
using Health = Snapshot::Health;

bool ended(Phase phase) { return phase == Phase::done || is_bad(phase); }

std::string how_it_ended(const Snapshot& s) {
  if (s.out_of_memory) return fmt::format("ended with exit code {}: out of memory, its limit is too low or it leaks", s.exit_code);
  std::string text = fmt::format("ended with exit code {}", s.exit_code);
  if (s.exit_code == 126) text += " (its command cannot be executed)";
  if (s.exit_code == 127) text += " (its command was not found)";
  if (s.exit_code == 137) text += " (killed)";
  if (s.exit_code == 143) text += " (it was told to stop)";
  if (!s.error.empty()) text += ": " + s.error;
  return text;
}

}  // namespace

std::string_view to_string(Condition condition) {
  switch (condition) {
    case Condition::started: return "started";
    case Condition::healthy: return "healthy";
    case Condition::completed: return "completed";
  }
  return "started";
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::waiting: return "waiting";
    case Phase::starting: return "starting";
    case Phase::running: return "running";
    case Phase::early: return "answering";
    case Phase::ready: return "ready";
    case Phase::done: return "done";
    case Phase::failed: return "failed";
    case Phase::blocked: return "blocked";
  }
  return "waiting";
}

Gate::Gate(std::vector<Job> jobs, Options options) : jobs_(std::move(jobs)), options_(std::move(options)), states_(jobs_.size()) {
  for (std::size_t i = 0; i < jobs_.size(); ++i) by_name_.emplace(jobs_[i].name, i);
  for (std::size_t i = 0; i < jobs_.size(); ++i)
    if (!jobs_[i].start) states_[i].start_asked = true;
  advance({});
}

std::size_t Gate::index(std::string_view service) const {
  const auto found = by_name_.find(service);
  assert(found != by_name_.end());
  return found->second;
}

const View& Gate::view(std::string_view service) const { return states_[index(service)].view; }

void Gate::seen(std::string_view service, std::string_view id, const Snapshot& snapshot, Clock::time_point now, bool ran_before) {
  const auto i = index(service);
  auto& state = states_[i];
  if (state.first_seen == Clock::time_point{}) state.first_seen = now;
  auto found = state.containers.find(id);
  if (found == state.containers.end())
    found = state.containers.emplace(std::string(id), One{.last = {}, .first_restarts = jobs_[i].start && !ran_before ? 0 : snapshot.restarts, .running_since = {}}).first;
  auto& one = found->second;
  const bool runs = snapshot.status == Status::running || snapshot.status == Status::paused;
  if (runs && one.last.status != Status::running && one.last.status != Status::paused) one.running_since = now - snapshot.running_for;
  one.last = snapshot;
  judge(i, now);
  advance(now);
}

void Gate::learn(std::string_view service, bool has_check, milliseconds budget, milliseconds recheck, Clock::time_point now) {
  auto& job = jobs_[index(service)];
  job.recheck = recheck;
  job.has_check = has_check;
  if (budget > milliseconds(0)) job.budget = budget;
  advance(now);
}

void Gate::refused(std::string_view service, std::string why, Clock::time_point now) {
  fail(index(service), std::move(why));
  advance(now);
}

void Gate::checked(std::string_view service, bool passed, Clock::time_point now) {
  const auto i = index(service);
  auto& state = states_[i];
  if (!state.probing || state.early_done) return;
  if (!passed) {
    state.first_pass = {};
    return;
  }
  if (state.first_pass == Clock::time_point{}) {
    state.first_pass = now;
  } else if (now - state.first_pass >= options_.apart && state.view.phase == Phase::running) {
    state.view.phase = Phase::early;
    state.view.why = "its own check passes; the engine has not asked yet";
    state.view.passed = now;
    state.probing = false;
    actions_.push_back({Action::Kind::end_probe, jobs_[i].name});
  }
  advance(now);
}

/// From what was last seen of the containers to the phase of the service.
void Gate::judge(std::size_t i, Clock::time_point now) {
  auto& state = states_[i];
  const auto& job = jobs_[i];
  auto& view = state.view;
  if (ended(view.phase)) return;
  std::size_t running = 0, healthy = 0, completed = 0;
  bool again = false;
  Clock::time_point since{};
  for (const auto& [id, one] : state.containers) {
    const auto& s = one.last;
    const bool retried = job.one_shot && job.may_retry;
    if (s.status == Status::restarting || s.restarts > one.first_restarts) {
      if (!retried) {
        auto end = s;
        if (s.last_exit) end.exit_code = *s.last_exit;
        const bool known = s.last_exit || s.status == Status::restarting || s.status == Status::exited || s.status == Status::dead;  // one that runs again says 0
        fail(i, fmt::format("keeps restarting ({} time{}){}", std::max<std::int64_t>(s.restarts, 1), s.restarts > 1 ? "s" : "", known ? "; it " + how_it_ended(end) : ""));
        return;
      }
    }
    switch (s.status) {
      case Status::created: case Status::restarting: break;
      case Status::paused: case Status::running:
        ++running;
        since = std::max(since, one.running_since);
        if (s.health == Health::healthy && s.status == Status::running) ++healthy;
        if (s.health == Health::unhealthy && s.status == Status::running && !job.start && now - state.first_seen < job.recheck) {
          again = true;
        } else if (s.health == Health::unhealthy && s.status == Status::running) {
          if (view.phase == Phase::early)
            notices_.push_back(fmt::format("{}: its check passed twice when asked early, and then the engine found it unhealthy", job.name));
          fail(i, "unhealthy: its healthcheck fails");
          return;
        }
        break;
      case Status::removing: case Status::gone:
        if (!state.start_asked) break;
        fail(i, "its container was removed by somebody else");
        return;
      case Status::exited: case Status::dead:
        if (!state.start_asked) break;  // from before this run
        if (job.one_shot && s.exit_code == 0 && s.error.empty()) ++completed;
        else {
          fail(i, how_it_ended(s) + (job.one_shot || s.exit_code != 0 || !s.error.empty() ? "" : ", and nothing says that it is a job (`x-datamancy: {one_shot: true}` does)"));
          return;
        }
        break;
    }
  }
  if (running + completed > 0 && view.started == Clock::time_point{}) view.started = now;
  if (completed == job.containers) {
    view.phase = Phase::done;
    view.stable = true;
    view.why.clear();
    view.passed = now;
    return;
  }
  if (running + completed < job.containers) return;
  if (job.one_shot) {
    view.phase = Phase::running;
    view.why = "runs to its end";
  } else if (!job.has_check.value_or(false) || healthy == job.containers) {
    if (view.phase != Phase::ready && view.phase != Phase::early) view.passed = now;
    view.phase = Phase::ready;
    view.why.clear();
    if (state.probing) actions_.push_back({Action::Kind::end_probe, job.name});
    state.probing = false;
    state.early_done = true;
  } else if (view.phase != Phase::early) {
    view.phase = Phase::running;
    view.why = again ? "was unhealthy before this run; its healthcheck is waited for once more" : "its healthcheck has not passed yet";
    if (job.early && !state.probing && !state.early_done) {
      state.probing = true;
      actions_.push_back({Action::Kind::probe, job.name});
    }
  }
  view.stable = view.phase == Phase::ready && now - since >= options_.settle;
}

void Gate::fail(std::size_t i, std::string why) {
  auto& state = states_[i];
  if (ended(state.view.phase)) return;
  state.view.phase = Phase::failed;
  state.view.stable = false;
  state.view.why = std::move(why);
  if (state.probing) actions_.push_back({Action::Kind::end_probe, jobs_[i].name});
  state.probing = false;
}

bool Gate::met(const Need& need) const {
  const auto found = by_name_.find(need.service);
  if (found == by_name_.end()) return true;
  const auto& state = states_[found->second];
  switch (need.condition) {
    case Condition::started: return state.view.started != Clock::time_point{} && !is_bad(state.view.phase);
    case Condition::healthy: return state.view.phase == Phase::ready || state.view.phase == Phase::early;
    case Condition::completed: return state.view.phase == Phase::done;
  }
  return false;
}

std::string Gate::need_text(const Need& need) const {
  const auto found = by_name_.find(need.service);
  const auto& view = states_[found->second].view;
  std::string text = fmt::format("{} to be {}", need.service, to_string(need.condition));
  if (view.phase == Phase::running && need.condition == Condition::healthy) text += " (runs, its healthcheck has not passed yet)";
  if (view.phase == Phase::running && need.condition == Condition::completed) text += " (runs)";
  if (view.phase == Phase::waiting) text += " (waits itself)";
  return text;
}

/// Lets go, blocks, and says what is waited for; then the starts of this round, the longest chain first.
void Gate::advance(Clock::time_point) {
  std::vector<std::size_t> starts;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      auto& state = states_[i];
      if (state.view.phase != Phase::waiting || state.start_asked) continue;
      std::string waits;
      for (const auto& need : jobs_[i].needs) {
        if (met(need)) continue;
        const auto& other = states_[index(need.service)].view;
        const auto& job = jobs_[index(need.service)];
        const bool never = need.condition == Condition::healthy && job.has_check == false;
        if (is_bad(other.phase) || never || (need.condition == Condition::healthy && other.phase == Phase::done)) {
          if (!need.required) {
            const auto notice = fmt::format("{}: {} is not {}, and it goes on without it (required: false)", jobs_[i].name, need.service, to_string(need.condition));
            if (std::ranges::find(notices_, notice) == notices_.end()) notices_.push_back(notice);
            continue;
          }
          state.view.phase = Phase::blocked;
          state.view.first_cause = other.phase == Phase::blocked ? other.first_cause : need.service;
          state.view.why = never ? fmt::format("needs {} to be healthy, but it has no healthcheck", need.service)
                                 : fmt::format("needs {} to be {}, which {}", need.service, to_string(need.condition),
                                               other.phase == Phase::failed ? "failed" : "cannot start");
          changed = true;
          break;
        }
        waits += (waits.empty() ? "waits for " : ", ") + need_text(need);
      }
      if (state.view.phase == Phase::blocked) continue;
      if (waits.empty()) {
        state.start_asked = true;
        state.view.phase = Phase::starting;
        state.view.why = "start asked";
        starts.push_back(i);
      } else {
        state.view.why = waits;
      }
    }
  }
  std::ranges::stable_sort(starts, [&](auto a, auto b) { return jobs_[a].chain > jobs_[b].chain; });
  for (const auto i : starts) actions_.push_back({Action::Kind::start, jobs_[i].name});
}

void Gate::tick(Clock::time_point now) {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    auto& state = states_[i];
    if (ended(state.view.phase)) continue;
    judge(i, now);
    const auto& job = jobs_[i];
    if (ended(state.view.phase) || state.view.stable) continue;
    const bool asked = state.view.phase == Phase::running || state.view.phase == Phase::early;
    if (asked && job.has_check.value_or(false) && job.budget > milliseconds(0) && state.view.started != Clock::time_point{} && now - state.view.started > job.budget)
      fail(i, fmt::format("not healthy {} s after its start, which is all that its healthcheck allows", job.budget.count() / 1000));
  }
  if (now >= options_.deadline) give_up(fmt::format("not ready within {}", options_.deadline_text.empty() ? "the deadline" : options_.deadline_text));
  advance(now);
}

void Gate::give_up(std::string_view why) {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    auto& view = states_[i].view;
    if (ended(view.phase) || view.stable) continue;
    if (view.phase == Phase::waiting) {
      view.phase = Phase::blocked;
      view.why = fmt::format("{}: {}", why, view.why);
    } else {
      fail(i, fmt::format("{}{}{}", why, view.why.empty() ? "" : ": ", view.why));
    }
  }
}

std::vector<Action> Gate::take_actions() { return std::exchange(actions_, {}); }

bool Gate::finished() const {
  return std::ranges::all_of(states_, [](const auto& state) { return ended(state.view.phase) || state.view.stable; });
}

Clock::time_point Gate::next_tick(Clock::time_point now) const {
  auto next = std::min(options_.deadline, now + std::chrono::seconds(5));
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    const auto& state = states_[i];
    if (ended(state.view.phase) || state.view.stable) continue;
    for (const auto& [id, one] : state.containers)
      if (state.view.phase == Phase::ready) next = std::min(next, one.running_since + options_.settle);
    if (jobs_[i].budget > milliseconds(0) && state.view.started != Clock::time_point{}) next = std::min(next, state.view.started + jobs_[i].budget + milliseconds(1));
  }
  return std::max(next, now);
}

}  // namespace dm::deploy

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "base/json.hpp"
#include "cli/deploying.hpp"
#include "cli/session.hpp"
#include "compose/labels.hpp"
#include "compose/units.hpp"
#include "deploy/look.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

using namespace std::chrono_literals;

std::int64_t now_seconds() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

int say_down(bool json, const std::string& project, std::string_view result, const std::vector<std::string>& still) {
  if (!json) return write_output("", fmt::format("{}: {}\n", project, result)) ? kClean : kFailed;
  JsonWriter out;
  out.begin_object().key("version").value(std::int64_t{1}).key("project").value(project).key("result").value(result).key("still_there").begin_array();
  for (const auto& name : still) out.value(name);
  out.end().end();
  return write_output("", out.take() + "\n") ? kClean : kFailed;
}

}  // namespace

int down(Args& args) {
  const bool yes = args.has("--yes") || args.has("-y");
  const bool volumes = args.has("--volumes") || args.has("-v");
  const bool orphans = args.has("--remove-orphans");
  const bool keep = args.has("--keep");
  const bool json = args.has("--json");
  std::chrono::nanoseconds wait{0};
  std::chrono::nanoseconds timeout{-1s};
  std::vector<std::string> names;
  if (!take_duration(args, "--timeout", timeout) || !take_duration(args, "--lock-wait", wait) || !take_names(args, "down", names)) return kUsage;
  if (keep && (volumes || orphans)) {
    fmt::print(stderr, "datamancy: --keep keeps everything, {} deletes: choose one\n", volumes ? "--volumes" : "--remove-orphans");
    return kUsage;
  }
  if (!names.empty()) {
    fmt::print(stderr, "datamancy: down takes the whole project down; 'docker compose stop SERVICE' stops single services\n");
    return kUsage;
  }
  Session session;
  int exit = kFailed;
  args.project.profiles.emplace_back("*");
  if (!open_session(args, {}, session, exit)) return exit;
  auto lock = session.lock(fmt::format("down of {}", session.project().name), wait);
  if (!lock) return complain(lock.error());
  const auto containers = deploy::look(*session.engine, session.project().name, session.within(30s));
  if (!containers) return complain(containers.error());
  const auto networks = session.engine->networks(compose::of_project(session.project().name), session.within(30s));  // an `up` that was cut off leaves them alone
  if (!networks) return complain(networks.error());
  if (containers->empty() && !volumes && (keep || networks->empty())) {
    return say_down(json, session.project().name, "nothing runs", {});
  }
  if (volumes && !agreed(yes, fmt::format("This deletes the volumes of {} with all data in them.", session.project().name))) return kFailed;
  const auto db = session.open_store();
  if (!db) return complain(db.error());
  const auto entry = state::begin(**db, {.at = now_seconds(), .who = who(), .verb = "down", .subject = session.project().name, .action = keep ? "stop" : volumes ? "containers, networks, volumes" : "containers, networks"});
  const auto progress = [](std::string_view piece) -> Result<void> {
    fmt::print(stderr, "{}", piece);
    return {};
  };
  const auto seconds = static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(timeout).count());
  const auto result = keep ? session.compose->stop(seconds, progress, session.within(30min)) : session.compose->down(volumes, orphans, seconds, progress, session.within(30min));
  state::finish(**db, entry, result ? "done" : session.interrupt.happened() ? "interrupted" : "failed");
  if (!result) return complain(result.error());
  std::vector<std::string> still;
  if (const auto left = deploy::look(*session.engine, session.project().name, session.within(30s)); left)
    for (const auto& container : *left)
      if (!keep || container.state.status == deploy::Snapshot::Status::running) {
        fmt::print(stderr, "note: {} is still there{}\n", container.name,
                   session.project().service(container.service) == nullptr ? ": its service is not in the files (--remove-orphans removes it)" : container.one_off ? ": docker compose run made it" : "");
        still.push_back(container.name);
      }
  return say_down(json, session.project().name, keep ? "stopped" : "down", still);
}

int restart(Args& args) {
  const bool cascade = args.has("--cascade");
  UpRequest request;
  if (!take_up_options(args, "restart", request)) return kUsage;
  if (request.planned.names.empty()) {
    fmt::print(stderr, "datamancy: restart wants the names of services\n");
    return kUsage;
  }
  const auto names = request.planned.names;
  Session session;
  int exit = kFailed;
  if (!open_session(args, names, session, exit)) return exit;  // by their names, since one may be of a profile that is off
  if (auto all = deploy::choose(session.project(), {})) session.services = *std::move(all);
  auto lock = session.lock(fmt::format("restart in {}", session.project().name), request.lock_wait);
  if (!lock) return complain(lock.error());
  // Dependents, transitively: what declares the dependency, and what calls the service by a firm reference.
  std::set<std::string, std::less<>> targets(names.begin(), names.end());
  if (cascade)
    for (const auto& name : names)
      for (const auto other : session.wiring.blast_radius(session.wiring.id_of(name)))
        if (session.wiring.service(other).enabled && !session.wiring.one_shot[other]) targets.emplace(session.wiring.service(other).name);
  const auto follows = [&](const compose::Service& service) {
    return service.enabled && (std::ranges::any_of(service.depends_on, [&](const auto& need) { return need.restart && targets.contains(need.service); }) ||
                               std::ranges::any_of(targets, [&](const auto& target) { return deploy::shares_namespace(service, target); }));
  };
  for (bool more = true; std::exchange(more, false);)
    for (const auto& service : session.project().services)
      if (!targets.contains(service.name) && follows(service)) more = targets.emplace(service.name).second;
  if (!make_plan(session, args, request.planned, exit)) return exit;
  auto& plan = request.planned.plan;
  std::erase_if(plan.steps, [&](const auto& step) { return !targets.contains(step.service); });
  plan.surplus.clear();
  plan.orphans.clear();
  const auto nothing = [](std::string_view name) { return complain({Errc::not_found, fmt::format("{} has no container; 'datamancy up {}' makes one", name, name), {}}); };
  for (const auto& name : names)
    if (const auto* step = plan.step(name); step == nullptr || step->ids.empty()) return nothing(name);
  std::erase_if(plan.steps, [](const auto& step) { return step.ids.empty(); });  // dependents that do not run
  for (auto& step : plan.steps) {
    const bool named = std::ranges::find(names, step.service) != names.end();
    step.change = deploy::Change::restart;
    step.why = named ? "asked for" : follows(*session.project().service(step.service)) ? "follows what is restarted" : "depends on what is restarted";
    step.containers = step.job.containers = step.ids.size();  // those that are there
    step.job.start = true;
    std::erase_if(step.job.needs, [&](const auto& need) { return plan.step(need.service) == nullptr; });
    // A caller without depends_on waits for what it calls, too.
    if (cascade && !named)
      for (const auto& name : names)
        if (std::ranges::find(step.job.needs, name, &deploy::Need::service) == step.job.needs.end())
          step.job.needs.push_back({name, deploy::Condition::started, true});
  }
  if (request.dry_run) return write_output("", request.json ? deploy::plan_json(plan) : deploy::plan_text(plan)) ? kClean : kFailed;
  if (!deliver_secrets(session, exit)) return exit;
  const auto db = session.open_store();
  if (!db) return complain(db.error());
  std::string list;
  for (const auto& step : plan.steps) list += (list.empty() ? "" : " ") + step.service;
  const auto entry = state::begin(**db, {.at = now_seconds(), .who = who(), .verb = "restart", .subject = session.project().name, .action = list});
  auto progress = deploy::make_progress(request.progress, may_color(args));
  request.options.deadline = Clock::now() + request.timeout;
  request.options.deadline_text = compose::format_duration(request.timeout);
  if (request.options.fan_out == 0) request.options.fan_out = deploy::fan_out_for(session.processors);
  const auto outcome = deploy::bring_up(*session.engine, *session.compose, plan, request.planned.containers, request.options, *progress, Deadline(Clock::time_point::max(), session.interrupt.token()));
  state::finish(**db, entry, !outcome ? "failed" : outcome->interrupted ? "interrupted" : outcome->fine ? "done" : "failed");
  if (!outcome) return complain(outcome.error());
  const auto text = request.json ? deploy::outcome_json(*outcome, session.project().name) : deploy::outcome_text(*outcome, session.project().name);
  if (!write_output("", text)) return kFailed;
  return outcome->interrupted ? kInterrupted : outcome->fine ? kClean : kFindings;
}

}  // namespace dm::cli

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "cli/deploying.hpp"
#include "cli/session.hpp"
#include "deploy/look.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

using namespace std::chrono_literals;

std::int64_t now_seconds() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

int down(Args& args) {
  const bool yes = args.has("--yes") || args.has("-y");
  const bool volumes = args.has("--volumes") || args.has("-v");
  const bool orphans = args.has("--remove-orphans");
  const bool keep = args.has("--keep");
  std::chrono::nanoseconds wait{0};
  std::string timeout = "-1";
  args.option("--timeout", timeout);
  std::vector<std::string> names;
  if (!take_duration(args, "--lock-wait", wait) || !take_names(args, "down", names)) return kUsage;
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
  if (containers->empty() && !volumes) {
    fmt::print("{}: nothing runs\n", session.project().name);
    return kClean;
  }
  if (keep && volumes) {
    fmt::print(stderr, "datamancy: --keep keeps everything, --volumes deletes: choose one\n");
    return kUsage;
  }
  if (volumes && !agreed(yes, fmt::format("This deletes the volumes of {} with all data in them.", session.project().name))) return kFailed;
  const auto db = session.open_store();
  if (!db) return complain(db.error());
  const auto entry = state::begin(**db, {.at = now_seconds(), .who = who(), .verb = "down", .subject = session.project().name, .action = keep ? "stop" : volumes ? "containers, networks, volumes" : "containers, networks"});
  const auto progress = [](std::string_view piece) -> Result<void> {
    fmt::print(stderr, "{}", piece);
    return {};
  };
  const auto result = keep ? session.compose->stop(std::atoi(timeout.c_str()), progress, session.within(30min))
                           : session.compose->down(volumes, orphans, std::atoi(timeout.c_str()), progress, session.within(30min));
  state::finish(**db, entry, result ? "done" : "failed");
  if (!result) return complain(result.error());
  fmt::print("{}: {}\n", session.project().name, keep ? "stopped" : "down");
  return kClean;
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
  if (!open_session(args, {}, session, exit)) return exit;
  auto lock = session.lock(fmt::format("restart in {}", session.project().name), request.lock_wait);
  if (!lock) return complain(lock.error());
  // Dependents, transitively: what declares the dependency, and what calls the service by a firm reference.
  std::set<std::string, std::less<>> targets(names.begin(), names.end());
  for (const auto& name : names) {
    const auto id = session.wiring.id_of(name);
    if (id == wiring::kNone) return complain({Errc::not_found, fmt::format("no service '{}' in project '{}'", name, session.project().name), {}});
    if (cascade)
      for (const auto other : session.wiring.blast_radius(id))
        if (session.wiring.service(other).enabled && !session.wiring.one_shot[other]) targets.emplace(session.wiring.service(other).name);
  }
  if (!make_plan(session, args, request.planned, exit)) return exit;
  auto& plan = request.planned.plan;
  std::erase_if(plan.steps, [&](const auto& step) { return !targets.contains(step.service); });
  for (auto& step : plan.steps) {
    if (step.ids.empty()) return complain({Errc::not_found, fmt::format("{} has no container; 'datamancy up {}' makes one", step.service, step.service), {}});
    const bool named = std::ranges::find(names, step.service) != names.end();
    step.change = deploy::Change::restart;
    step.why = named ? "asked for" : "depends on what is restarted";
    step.by_compose.clear();
    step.job.start = true;
    std::erase_if(step.job.needs, [&](const auto& need) { return !targets.contains(need.service); });
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
  auto progress = deploy::make_progress(request.progress, !plain_environment(args).contains("NO_COLOR"));
  request.options.deadline = Clock::now() + request.timeout;
  if (request.options.fan_out == 0) request.options.fan_out = deploy::fan_out_for(session.processors);
  const auto outcome = deploy::bring_up(*session.engine, *session.compose, plan, request.planned.containers, request.options, *progress, Deadline(Clock::time_point::max(), session.interrupt.token()));
  state::finish(**db, entry, !outcome ? "failed" : outcome->interrupted ? "interrupted" : outcome->fine ? "done" : "failed");
  if (!outcome) return complain(outcome.error());
  const auto text = request.json ? deploy::outcome_json(*outcome, session.project().name) : deploy::outcome_text(*outcome, session.project().name);
  if (!write_output("", text)) return kFailed;
  return outcome->interrupted ? kInterrupted : outcome->fine ? kClean : kFindings;
}

}  // namespace dm::cli

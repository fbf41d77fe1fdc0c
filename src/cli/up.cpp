#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/deploying.hpp"
#include "cli/session.hpp"

namespace dm::cli {

int plan(Args& args) {
  const bool json = args.has("--json");
  Session session;
  Planned planned;
  int exit = kFailed;
  if (!take_plan_options(args, planned) || !take_names(args, "plan", planned.names)) return kUsage;
  if (!open_session(args, planned.names, session, exit, planned.with_dependencies)) return exit;
  if (!make_plan(session, args, planned, exit)) return exit;
  const auto text = json ? deploy::plan_json(planned.plan) : deploy::plan_text(planned.plan);
  return write_output("", text) ? kClean : kFailed;
}

int up(Args& args) {
  UpRequest request;
  if (!take_up_options(args, "up", request)) return kUsage;
  return run_up(args, request);
}

}  // namespace dm::cli

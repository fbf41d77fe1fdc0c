#include <fmt/format.h>

#include <cstdio>

#include "cli/session.hpp"
#include "compose/units.hpp"
#include "deploy/preflight.hpp"

namespace dm::cli {

int preflight(Args& args) {
  const bool json = args.has("--json");
  if (args.has("--all")) args.project.profiles.emplace_back("*");
  std::string free = "50g";
  args.option("--min-free", free);
  std::vector<std::string> names;
  const auto bytes = compose::parse_bytes(free);
  if (!bytes) {
    fmt::print(stderr, "datamancy: --min-free wants a size such as 50g, not '{}'\n", free);
    return kUsage;
  }
  if (!take_names(args, "preflight", names)) return kUsage;
  Session session;
  int exit = kFailed;
  if (!open_session(args, names, session, exit)) return exit;
  const auto around = deploy::gather(*session.engine, session.wiring, session.services, session.within(std::chrono::seconds(60)));
  if (!around) return complain(around.error());
  const auto problems = deploy::preflight({.wiring = session.wiring, .services = session.services, .around = *around, .want_free = *bytes});
  if (!write_output("", json ? deploy::preflight_json(problems) : deploy::preflight_text(problems))) return kFailed;
  if (!json && problems.empty())
    fmt::print("{}: {} checks, nothing in the way (engine {}, compose {})\n", session.project().name, deploy::preflight_checks().size(), around->engine.server_version, around->compose_version);
  return problems.empty() ? kClean : kFindings;
}

}  // namespace dm::cli

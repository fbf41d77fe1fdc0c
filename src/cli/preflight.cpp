#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/deploying.hpp"
#include "cli/session.hpp"
#include "compose/units.hpp"
#include "deploy/preflight.hpp"

namespace dm::cli {
namespace {

/// A schema of variables, or a template in the project's folder or a folder of it.
bool has_templates(const std::string& folder) {
  const auto& files = sources::disk();
  if (files.stat(folder + "/variables.yaml").kind == sources::Kind::regular) return true;
  for (const auto& name : files.list(folder)) {
    if (name.ends_with(".tmpl")) return true;
    if (name.starts_with('.') || files.stat(folder + "/" + name).kind != sources::Kind::directory) continue;
    for (const auto& inner : files.list(folder + "/" + name))
      if (inner.ends_with(".tmpl")) return true;
  }
  return false;
}

}  // namespace

std::vector<deploy::Problem> rendering_problems(const Session& session) {
  const auto& folder = session.project().folder;
  if (!has_templates(folder)) return {};
  Command command;
  command.argv = {"/proc/self/exe", "render", "--check", folder};
  const auto done = run_process(command, {}, session.within(std::chrono::seconds(60)));
  if (!done) return {{"templates", true, fmt::format("templates cannot be judged: {}", done.error().message), "datamancy render --check"}};
  if (done->fine()) return {};
  auto said = done->out + done->err;
  while (said.ends_with('\n')) said.pop_back();
  std::vector<std::string_view> lines;
  for (std::string_view rest = said; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    // What was never rendered is missing where it is mounted, and said there.
    const auto one = rest.substr(0, end);
    if (done->status != kFindings || (!one.ends_with(": not rendered yet") && !one.ends_with("differ from what would be rendered now"))) lines.push_back(one);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (lines.empty()) return {};
  constexpr std::size_t kShown = 5;
  auto line = fmt::format("{}", fmt::join(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(std::min(lines.size(), kShown)), "; "));
  if (lines.size() > kShown) line += fmt::format("; and {} more", lines.size() - kShown);
  if (done->status == kFindings) return {{"templates", false, "rendered configuration is not what the templates give: " + line, "datamancy render"}};
  return {{"templates", true, "templates cannot be rendered: " + line, "mend them, then datamancy render"}};
}

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
  auto problems = deploy::preflight({.wiring = session.wiring, .services = session.services, .around = *around, .want_free = *bytes});
  for (auto& problem : rendering_problems(session)) problems.push_back(std::move(problem));
  if (!write_output("", json ? deploy::preflight_json(problems) : deploy::preflight_text(problems))) return kFailed;
  if (!json && problems.empty())
    fmt::print("{}: {} checks, nothing in the way (engine {}, compose {})\n", session.project().name, deploy::preflight_checks().size(), around->engine.server_version, around->compose_version);
  return problems.empty() ? kClean : kFindings;
}

}  // namespace dm::cli

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/deploying.hpp"
#include "cli/secrets.hpp"
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

/// The project with placeholders for what is sealed, where it does not load with its values: the rest is judged all the same, so that all problems are known
/// at once. False where nothing can be judged.
bool load_without_values(Args& args, const std::vector<std::string>& names, std::unique_ptr<secrets::UnsealedFiles>& files, Session& session) {
  args.project.lenient = true;
  const auto folder = project_folder(args);
  auto sealed = secrets::placeholders_for(folder, args.project, {args.project.environment, {}, true});
  secrets::add_to(args.project, sealed, folder);
  files = std::make_unique<secrets::UnsealedFiles>(sealed, secrets::UnsealedFiles::Show::placeholders);
  session.loaded = secrets::load_with_placeholders(args.project, sealed, *files, {args.project.environment, {}, true});
  if (!session.loaded.usable) return false;
  auto chosen = deploy::choose(session.project(), names);
  if (!chosen) return false;
  session.services = *std::move(chosen);
  session.wiring = wiring::wire(*session.loaded.project, session.products);
  return true;
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
  std::unique_ptr<secrets::UnsealedFiles> files;  // outlives the project that is read through it
  Session session;
  int exit = kFailed;
  const bool loads = open_session(args, names, session, exit);
  if (!loads && (session.engine == nullptr || !load_without_values(args, names, files, session))) return exit;
  const auto around = deploy::gather(*session.engine, session.wiring, session.services, session.within(std::chrono::seconds(60)));
  if (!around) return loads ? complain(around.error()) : exit;
  auto problems = deploy::preflight({.wiring = session.wiring, .services = session.services, .around = *around, .want_free = *bytes});
  if (loads)
    for (auto& problem : rendering_problems(session)) problems.push_back(std::move(problem));
  else
    problems.insert(problems.begin(), {"project", true, "it does not load with its values, as was said; the rest was judged without them", ""});
  if (!write_output("", json ? deploy::preflight_json(problems) : deploy::preflight_text(problems))) return kFailed;
  if (!json && problems.empty())
    fmt::print("{}: {} checks, nothing in the way (engine {}, compose {})\n", session.project().name, deploy::preflight_checks().size(), around->engine.server_version, around->compose_version);
  return !loads ? exit : problems.empty() ? kClean : kFindings;
}

}  // namespace dm::cli

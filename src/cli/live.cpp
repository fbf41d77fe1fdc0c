#include "cli/live.hpp"

#include <fmt/format.h>

#include "base/files.hpp"
#include "cli/engine.hpp"
#include "facts/json.hpp"
#include "observe/compose_hashes.hpp"
#include "observe/observe.hpp"

namespace dm::cli {
namespace {

/// The options by which Compose finds the same project.
std::vector<std::string> compose_options(const Args& args, const compose::Project& project) {
  std::vector<std::string> out;
  if (!args.host.empty()) out = {"--host", args.host};
  if (!args.context.empty()) out = {"--context", args.context};
  out.insert(out.end(), {"--project-directory", project.folder});
  for (const auto& file : args.project.files) out.insert(out.end(), {"-f", sources::clean_path(file, args.project.working_directory)});
  for (const auto& file : args.project.env_files) out.insert(out.end(), {"--env-file", sources::clean_path(file, args.project.working_directory)});
  for (const auto& profile : args.project.profiles) out.insert(out.end(), {"--profile", profile});
  out.insert(out.end(), {"-p", project.name});
  return out;
}

Result<facts::Facts> look(const Args& args, const compose::Project& project) {
  DM_TRY(const engine::Place place, engine::find_engine({args.host, args.context}, args.project.environment, sources::disk()));
  DM_TRY(const auto engine, engine::open_engine(place));
  observe::Wanted wanted;
  wanted.project = project.name;
  for (const auto& service : project.services) {
    if (!service.enabled) continue;
    wanted.images.emplace_back(service.image.value);
    for (const auto& mount : service.mounts)
      if (mount.type == compose::Mount::Type::bind && !mount.read_only) wanted.paths.emplace_back(mount.source);
  }
  if (const auto host = engine::parse_host(place.host, place.tls.has_value())) wanted.socket = host->path;
  DM_TRY(auto facts, observe::observe(*engine, wanted, Deadline::in(std::chrono::seconds(60))));
  auto hashes = observe::compose_hashes(compose_options(args, project), args.project.working_directory, Deadline::in(std::chrono::seconds(30)));
  if (hashes) facts.config_hashes = *std::move(hashes);
  else facts.unknown.push_back("whether containers are of the present configuration: " + hashes.error().describe().substr(0, 300));
  return facts;
}

}  // namespace

bool take_live(Args& args, LiveOptions& out) {
  out.live = args.has("--live");
  args.option("--facts", out.facts_file);
  args.option("--save-facts", out.save_file);
  if (out.live && !out.facts_file.empty()) {
    fmt::print(stderr, "datamancy: --live and --facts exclude each other: look now, or take what was seen\n");
    return false;
  }
  if (!out.save_file.empty() && !out.live) {
    fmt::print(stderr, "datamancy: --save-facts needs --live\n");
    return false;
  }
  return true;
}

Result<std::optional<facts::Facts>> get_facts(const Args& args, const LiveOptions& options, const compose::Project& project) {
  if (!options.wanted()) return std::optional<facts::Facts>();
  facts::Facts facts;
  if (options.live) {
    DM_TRY(facts, look(args, project));
    if (!options.save_file.empty()) DM_CHECK(write_atomic(options.save_file, facts::to_json(facts)));
  } else {
    DM_TRY(const std::string text, sources::disk().read(options.facts_file));
    DM_TRY(facts, during("reading '" + options.facts_file + "'", facts::from_json(text)));
    if (facts.project != project.name)
      return fail(Errc::invalid_input, fmt::format("'{}' has facts of project '{}', not of '{}'", options.facts_file, facts.project, project.name));
  }
  for (const auto& gap : facts.unknown) fmt::print(stderr, "note: not observed: {}\n", gap);
  return std::optional(std::move(facts));
}

}  // namespace dm::cli

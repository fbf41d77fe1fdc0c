#include "cli/live.hpp"

#include <fmt/format.h>

#include "base/files.hpp"
#include "cli/engine.hpp"
#include "cli/secrets.hpp"
#include "deploy/borrowed_hash.hpp"
#include "deploy/compose_cli.hpp"
#include "facts/json.hpp"
#include "observe/observe.hpp"

namespace dm::cli {
namespace {

/// Compose's own hashes of the services as the files and the sealed variables are now; the latter are opened as `up` opens them.
Result<std::map<std::string, std::string>> present_hashes(const Args& args, compose::Options given, const compose::Project& project, const std::vector<facts::Container>& containers) {
  given.lenient = false;
  DM_TRY(const auto handover, secrets::Handover::open(project_folder(args), given, key_sources(args)));
  const product::Catalogue products;
  DM_TRY(const auto loaded, handover->load(given, products));
  if (!loaded.ok) return fail(Errc::invalid_input, "the project does not load with its values; 'datamancy config -q' says why");
  deploy::ComposeCli compose(given, project.name, handover.get());
  compose.reach(args.host, args.context);
  DM_TRY(auto out, compose.hashes(Deadline::in(std::chrono::seconds(30))));
  deploy::settle_env_files(out, *loaded.project, containers);
  deploy::settle_borrowed_hashes(out, *loaded.project, containers);
  return out;
}

Result<facts::Facts> look(const Args& args, const compose::Options& given, const compose::Project& project) {
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
  auto hashes = present_hashes(args, given, project, facts.containers);
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

Result<std::optional<facts::Facts>> get_facts(const Args& args, const compose::Options& given, const LiveOptions& options, const compose::Project& project) {
  if (!options.wanted()) return std::optional<facts::Facts>();
  facts::Facts facts;
  if (options.live) {
    DM_TRY(facts, look(args, given, project));
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

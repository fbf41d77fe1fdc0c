#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/files.hpp"
#include "base/json.hpp"
#include "cli/secrets.hpp"
#include "scaffold/run_folder.hpp"
#include "secrets/crypto.hpp"
#include "secrets/delivery.hpp"
#include "templates/filters.hpp"

namespace dm::cli {
namespace {

struct Place {
  std::string folder;   ///< of the project
  std::string run;      ///< where files go
  std::string list;     ///< the list of what was rendered
};

Result<scaffold::Values> values_of(const Args& args, const std::string& folder) {
  scaffold::Values out;
  if (auto text = sources::disk().read(folder + "/variables.yaml")) {
    DM_TRY(out.schema, scaffold::parse_schema(*text));
  }
  auto options = args.project;
  options.working_directory = folder;
  options.project_directory.clear();  // it led to the folder; a relative one would lead on from there
  options.lenient = true;
  const auto loaded = compose::load(options, sources::disk());
  const auto keep = [&](const std::string& name) {
    if (const auto found = loaded.project->environment.find(name); found != loaded.project->environment.end()) out.settings.emplace(name, secrets::SecretString(found->second.value));
  };
  if (out.schema.settings.empty()) {  // then the settings are what `.env` names; a value of the process's environment wins, as it does for Compose
    options.environment.clear();
    const auto written = compose::load(options, sources::disk());
    for (const auto& [name, definition] : written.project->environment) keep(name);
  }
  for (const auto& setting : out.schema.settings) keep(setting.name);
  const auto domain = out.settings.find("DOMAIN");
  for (const auto& setting : out.schema.settings) {
    if (out.settings.contains(setting.name)) continue;
    auto value = setting.fallback;
    if (const auto at = value.find("%DOMAIN%"); at != std::string::npos) value.replace(at, 8, domain == out.settings.end() ? "" : std::string(domain->second.reveal()));
    out.settings.emplace(setting.name, secrets::SecretString(value));
  }
  DM_TRY(const auto sealed, secrets::environment_for(folder, args.project, key_sources(args)));
  DM_TRY(auto variables, secrets::variables_of(sealed, {}));
  for (auto& [name, value] : variables) out.secrets.insert_or_assign(name, std::move(value));
  if (!out.schema.secrets.empty() && !sealed.any())
    return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("variables.yaml declares {} secrets, and no sealed file (*.enc.env) lies in '{}'; 'datamancy init' makes one", out.schema.secrets.size(), folder));
  return out;
}

/// The key of the hashes: a sealed secret, or where there is none a random file in the run folder, which lasts until the next boot.
Result<std::string> hash_key(const scaffold::Values& values, const std::string& run, bool writing) {
  if (const auto key = values.secrets.find("render_key"); key != values.secrets.end() && !key->second.empty()) return std::string(key->second.reveal());
  const auto path = run + "/.render_key";
  if (auto text = sources::disk().read(path)) return text;
  const auto bytes = secrets::random_secret(32);
  auto key = secrets::hex(bytes.reveal());
  if (writing && scaffold::in_memory_only(run)) {
    DM_CHECK(make_folders(run, 0700));
    DM_CHECK(write_atomic(path, key, 0600));
  }
  return key;
}

/// Services that use any of the names, as the schema says.
std::set<std::string> users_of(const scaffold::Values& values, const std::vector<scaffold::RunFile>& files, const std::vector<std::string>& changed) {
  std::set<std::string> out;
  for (const auto& file : files) {
    if (std::ranges::find(changed, file.path) == changed.end()) continue;
    for (const auto& name : file.names)
      if (const auto* secret = values.schema.secret(name)) out.insert(secret->used_by.begin(), secret->used_by.end());
  }
  out.erase("people");
  out.erase("render");
  return out;
}

Result<int> work(Args& args) {
  if (args.has("--filters")) {
    for (const auto& filter : templates::filters()) fmt::print("{:10} {}\n", filter.name, filter.what);
    return kClean;
  }
  const bool check = args.has("--check"), json = args.has("--json");
  std::string run;
  args.option("--run", run);
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with("-"))) {
    fmt::print(stderr, "datamancy: render does not know '{}'; see 'datamancy render --help'\n", args.words.back());
    return kUsage;
  }
  Place place;
  place.folder = args.words.empty() ? project_folder(args) : absolute(args, args.words[0]);
  if (sources::disk().stat(place.folder).kind != sources::Kind::directory) return fail(Errc::not_found, fmt::format("there is no folder '{}'", place.folder));
  DM_TRY(const auto values, values_of(args, place.folder));
  const auto setting = values.settings.find("DATAMANCY_RUN");
  place.run = !run.empty() ? absolute(args, run) : setting != values.settings.end() && !setting->second.empty() ? std::string(setting->second.reveal()) : fmt::format("/run/datamancy/{}", sources::file_name(place.folder));
  place.list = place.folder + "/.datamancy/rendered.list";

  const auto rendering = scaffold::render_project(sources::disk(), place.folder, values);
  if (!rendering.problems.empty()) {
    for (const auto& problem : rendering.problems) fmt::print(stderr, "{}\n", problem.describe());
    fmt::print(stderr, "datamancy: {} {} in the templates; nothing was written\n", rendering.problems.size(), rendering.problems.size() == 1 ? "problem" : "problems");
    return kFailed;
  }
  DM_TRY(const auto key, hash_key(values, place.run, !check));
  templates::Hashes recorded;
  if (auto text = sources::disk().read(place.list)) {
    DM_TRY(recorded, templates::read_list(*text));
  }
  const auto fresh = scaffold::hashes_of(rendering, key);
  const auto drift = templates::compare(fresh, recorded, scaffold::present_hashes(place.run, key, fresh, recorded));
  if (check) {
    if (json) {
      JsonWriter out;
      out.begin_object().key("run").value(place.run).key("files").value(static_cast<std::uint64_t>(fresh.size())).key("drift").begin_array();
      for (const auto& one : drift) out.value(one.describe());
      out.end().end();
      fmt::print("{}\n", out.take());
    } else {
      for (const auto& one : drift) fmt::print("{}\n", one.describe());
      fmt::print("{} files in {}, {} differ from what would be rendered now\n", fresh.size(), place.run, drift.size());
    }
    return drift.empty() ? kClean : kFindings;
  }
  for (const auto& one : drift)
    if (one.kind == templates::Drift::Kind::edited) fmt::print(stderr, "datamancy: {} ({}) is written anew\n", one.file, "changed by another hand");
  DM_TRY(const auto changed, scaffold::write_run(place.run, rendering, recorded));
  DM_CHECK(make_folders(place.folder + "/.datamancy", 0755));
  DM_CHECK(write_atomic(place.list, templates::write_list(fresh)));
  const auto users = users_of(values, rendering.files, changed);
  if (json) {
    JsonWriter out;
    out.begin_object().key("run").value(place.run).key("files").value(static_cast<std::uint64_t>(fresh.size())).key("changed").begin_array();
    for (const auto& one : changed) out.value(one);
    out.end().key("restart").begin_array();
    for (const auto& one : users) out.value(one);
    out.end().end();
    fmt::print("{}\n", out.take());
  } else {
    fmt::print("{} files in {}, {} changed\n", fresh.size(), place.run, changed.size());
    if (!changed.empty() && !recorded.empty() && !users.empty()) fmt::print("restart what uses them, if it runs: docker compose up -d --force-recreate --no-deps {}\n", fmt::join(users, " "));
  }
  return kClean;
}

}  // namespace

int render(Args& args) {
  const auto result = work(args);
  return result ? *result : complain(result.error());
}

}  // namespace dm::cli

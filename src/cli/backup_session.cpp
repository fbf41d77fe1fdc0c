#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iostream>

#include "base/files.hpp"
#include "cli/backup.hpp"
#include "cli/interrupt.hpp"
#include "cli/secrets.hpp"
#include "compose/labels.hpp"
#include "compose/load.hpp"
#include "engine/context.hpp"
#include "state/journal.hpp"
#include "wiring/wiring.hpp"

namespace dm::cli {
namespace {

std::map<std::string, std::string> plain(const std::map<std::string, std::string, std::less<>>& environment) { return {environment.begin(), environment.end()}; }

/// For whom the project seals: those of its sealed files, else those of `.sops.yaml` or of the keys that are here.
std::vector<std::string> recipients_of(const std::string& folder, const secrets::KeySources& sources) {
  for (const auto& path : secrets::sealed_env_files(sources::disk(), folder))
    if (const auto text = sources::disk().read(path, secrets::kMaxSealed))
      if (const auto document = secrets::parse_sealed(*text)) {
        std::vector<std::string> out;
        for (const auto& key : document->sops.age)
          if (secrets::recipient_kind(key.recipient) == secrets::RecipientKind::x25519) out.push_back(key.recipient);
        if (!out.empty()) return out;
      }
  auto keys = secrets::Keyring::load(sources);
  if (!keys) return {};
  const auto plan = secrets::plan_sealing(folder + "/secrets.enc.env", *keys);
  return plan ? plan->recipients : std::vector<std::string>();
}

}  // namespace

std::stop_token watch_signals() {
  static const Interrupt whole;
  return whole.token();
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, kUnits[unit]);
}

std::string human_time(std::int64_t unix_seconds) {
  if (unix_seconds == 0) return "never";
  const std::time_t time = unix_seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min);
}

bool no_later(std::int64_t unix_seconds, std::string_view at) {
  auto stamp = human_time(unix_seconds);
  stamp[10] = 'T';
  return at.empty() || stamp.substr(0, at.size()) <= at;
}

Result<void> check_moment(std::string& at) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd";
  if (at.size() > 10 && at[10] == ' ') at[10] = 'T';
  bool fits = at.empty() || (at.size() >= 4 && at.size() <= kShape.size());
  for (std::size_t i = 0; fits && i < at.size(); ++i) fits = kShape[i] == 'd' ? at[i] >= '0' && at[i] <= '9' : at[i] == kShape[i];
  if (!fits) return fail(Errc::invalid_input, fmt::format("--before '{}' is no moment: it is given in UTC, as 2026-11-25 or 2026-11-25T02:00", at));
  return {};
}

Result<void> none_passed_over(const backup::History& history, const backup::Manifest& chosen, const std::string& at) {
  const auto past = history.passed_over(&chosen, [&](std::int64_t time) { return no_later(time, at); });
  if (past.empty()) return {};
  return fail(Errc::conflict, fmt::format("{}: what would come back is run {} of {}, which is older; --run {} says that this is meant", past, chosen.run, human_time(chosen.started), chosen.run));
}

int status_of(state::Outcome outcome) {
  switch (outcome) {
    case state::Outcome::verified: return kClean;
    case state::Outcome::failed: return kFindings;
    case state::Outcome::could_not_verify: return kFailed;
  }
  return kFailed;
}

bool agreed(const BackupSession& session, std::string_view question) {
  if (session.yes) return true;
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) {
    fmt::print(stderr, "datamancy: {}\n  nobody can be asked here: --yes agrees\n", question);
    return false;
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

backup::OnProgress progress_of(const BackupSession& session) {
  if (session.quiet || session.json) return {};
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  return [terminal](const backup::Progress& progress) {
    if (!terminal && !progress.done) return;
    const double rate = progress.seconds > 0 ? static_cast<double>(progress.bytes) / progress.seconds : 0;
    std::string line = fmt::format("{:40} {:>9}  {:>9}/s", progress.what, human_bytes(progress.bytes), human_bytes(static_cast<std::uint64_t>(rate)));
    if (!progress.done && progress.expected > progress.bytes && rate > 0)
      line += fmt::format("  about {:.0f} s left", static_cast<double>(progress.expected - progress.bytes) / rate);
    if (progress.done) line += fmt::format("  {:.1f} s", progress.seconds);
    fmt::print(stderr, "{}{}{}", terminal ? "\r\033[K" : "", line, progress.done ? "\n" : "");
    std::fflush(stderr);
  };
}

Result<void> BackupSession::open_state() {
  if (db) return {};
  const auto root = state::root_folder(plain(environment), ::geteuid() == 0);
  DM_TRY(store, state::store_folder(root, engine_id.empty() ? "no-engine" : engine_id, project));
  db.emplace(state::open_store(store));
  return {};
}

std::int64_t BackupSession::begin(std::string verb, std::string action, std::string subject) {
  return state::begin(*db, {.at = backup::unix_now(), .who = fmt::format("uid {}", ::getuid()), .verb = std::move(verb), .subject = subject.empty() ? project : std::move(subject), .action = std::move(action)});
}

Result<backup::Inventory> BackupSession::inventory() {
  backup::Wishes wishes;
  wishes.exclude = settings.exclude;
  wishes.tiers = settings.tiers;
  wishes.quiesce_limit = settings.quiesce_limit;
  if (repository && repository->location().url.starts_with('/')) wishes.exclude_paths.push_back(repository->location().url);
  DM_TRY(auto out, backup::discover(*engine, products, project, wishes, within(std::chrono::minutes(2))));
  for (const auto& name : declared) {
    const bool known = out.find(name) != nullptr || std::ranges::any_of(out.skipped, [&](const backup::Skipped& skipped) { return skipped.id == name; });
    if (!known) out.skipped.push_back({.id = name, .services = {name}, .reason = "a datastore of the project's files that has no container: it was never started"});
  }
  DM_TRY(record, backup::record_stack(*engine, project, within(std::chrono::minutes(2))));
  const auto open_secrets = backup::plain_secrets(record);
  if (!open_secrets.empty()) backup::guard_secrets(out, record, open_secrets, recipients_of(record.folder, keys));
  return out;
}

Result<std::unique_ptr<backup::Repository>> BackupSession::open(const std::string& name, bool create) {
  const bool root = ::geteuid() == 0;
  backup::RepositorySettings chosen;
  if (name.empty()) {
    const auto* primary = settings.primary();
    chosen = primary != nullptr ? *primary : backup::default_repository(project, environment, root);
  } else if (const auto* found = settings.find(name); found != nullptr) {
    chosen = *found;
  } else if (name.find('/') != std::string::npos || name.find(':') != std::string::npos) {
    chosen = backup::default_repository(project, environment, root);  // its password file, unless --password-file says otherwise
    chosen.location.name = name;
    chosen.location.url = name;
    if (name.starts_with("kopia:")) {
      chosen.location.kind = "kopia";
      chosen.location.url = name.substr(6);
    }
  } else {
    return fail(Errc::not_found, fmt::format("no repository is called '{}' in .datamancy.yml", name));
  }
  if (!password_file.empty()) {
    chosen.password_file = sources::clean_path(password_file, working_directory);
    chosen.password_command.clear();
    chosen.password_secret.clear();
  }
  if (!chosen.location.url.empty() && chosen.location.url.find(':') == std::string::npos && !chosen.location.url.starts_with('/') && !chosen.location.url.starts_with('.'))
    chosen.location.url = sources::clean_path(chosen.location.url, working_directory);
  if (!chosen.password_secret.empty() && sealed) {
    DM_TRY(chosen.location.password, during(fmt::format("looking for the password of repository '{}'", chosen.location.name), sealed(chosen.password_secret)));
  }
  if (stall > 0) chosen.location.stall = stall;
  bool made = false;
  DM_TRY(auto location, backup::with_password(chosen, folder.empty() ? working_directory : folder, create && password_file.empty(), made));
  if (made)
    fmt::print(stderr, "datamancy: wrote a new repository password to {}\n  whoever loses it loses every backup: keep a copy of this file on another machine, or on paper\n", chosen.password_file);
  if (location.url.starts_with('/')) DM_CHECK(make_folders(location.url, 0700));
  const auto cache_root = state::root_folder(plain(environment), root) + "/cache";
  DM_CHECK(make_folders(cache_root, 0700));
  DM_TRY(auto opened, backup::open_repository(std::move(location), cache_root));
  DM_TRY(const bool there, opened->exists(within(std::chrono::minutes(2))));
  fresh = !there;
  if (!there && !create) return fail(Errc::not_found, fmt::format("there is no repository at {}; 'datamancy backup run' makes one", opened->location().url));
  if (!there) DM_CHECK(opened->create(within(std::chrono::minutes(5))));
  return opened;
}

Result<void> open_backup(Args& args, Needs needs, bool create, BackupSession& out) {
  out.json = args.has("--json");
  out.yes = args.has("--yes") || args.has("-y");
  out.quiet = args.has("--quiet") || args.has("-q");
  std::string repository;
  engine::Choice choice;
  args.option("--repository", repository);
  args.option("--password-file", out.password_file);
  std::string stall;
  args.option("--stall-timeout", stall);
  if (!stall.empty()) {
    out.stall = backup::seconds_of(stall);
    if (out.stall < backup::kLeastStall) return fail(Errc::invalid_input, fmt::format("--stall-timeout '{}' is no duration like 10m of at least {}s", stall, backup::kLeastStall));
  }
  args.option("--context", choice.context);
  args.option("--host", choice.host);
  out.environment = args.project.environment;
  out.working_directory = args.project.working_directory;
  out.stop = watch_signals();
  out.keys = key_sources(args);
  out.sealed = [sources = out.keys, &out](const std::string& name) -> Result<std::string> {
    DM_TRY(auto keys, secrets::Keyring::load(sources));
    const auto paths = secrets::sealed_env_files(sources::disk(), out.folder.empty() ? out.working_directory : out.folder);
    for (const auto& path : paths) {
      DM_TRY(const auto file, secrets::open_sealed(path, keys));
      const auto& leaves = file.opened.document.leaves;
      for (std::size_t i = 0; i < leaves.size(); ++i)
        if (leaves[i].type != secrets::LeafType::comment && leaves[i].path == std::vector<std::string>{name}) return std::string(file.opened.values[i].plain.reveal());
    }
    return fail(Error{Errc::not_found, fmt::format("no sealed file of the project has a secret '{}'", name), {}, kNoSecrets});
  };
  args.project.lenient = true;
  const auto loaded = compose::load(args.project, sources::disk());
  if (loaded.usable) {
    out.project = loaded.project->name;
    out.folder = loaded.project->folder;
    const auto wiring = wiring::wire(*loaded.project, out.products);
    for (const auto& datastore : wiring.datastores)
      if (!datastore.ephemeral && loaded.project->services[datastore.service].enabled && datastore.kind != "sqlite") out.declared.emplace_back(loaded.project->services[datastore.service].name);
  }
  if (!args.project.project_name.empty()) out.project = args.project.project_name;
  if (needs == Needs::repository) {
    // The state lies under the engine's id; where none answers, the repository is enough.
    if (const auto place = engine::find_engine(choice, args.project.environment, sources::disk()))
      if (auto opened = engine::open_engine(*place))
        if (const auto info = (*opened)->info(out.within(std::chrono::seconds(3)))) out.engine_id = info->id;
  } else {
    DM_TRY(const auto place, engine::find_engine(choice, args.project.environment, sources::disk()));
    DM_TRY(out.engine, engine::open_engine(place));
    DM_TRY(const auto info, out.engine->info(out.within(std::chrono::seconds(20))));
    out.engine_id = info.id;
    if (out.project.empty()) {
      DM_TRY(const auto containers, out.engine->containers({.labels = {compose::label::kProject}}, out.within(std::chrono::seconds(30))));
      std::vector<std::string> names;
      for (const auto& container : containers)
        if (const auto& name = container.labels.at(compose::label::kProject); std::ranges::find(names, name) == names.end()) names.push_back(name);
      if (names.size() != 1) return fail(Errc::invalid_input, fmt::format("which project? There is no Compose file here, and the engine runs {}: name one with -p", names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
      out.project = names.front();
    }
  }
  if (out.project.empty()) return fail(Errc::invalid_input, "which project? There is no Compose file here: name one with -p");
  const auto folder = out.folder.empty() ? out.working_directory : out.folder;
  DM_TRY(out.settings, backup::parse_settings(sources::disk().read(folder + "/.datamancy.yml").value_or("")));
  if (needs != Needs::engine) {
    DM_TRY(out.repository, out.open(repository, create));
  }
  return out.open_state();
}

}  // namespace dm::cli

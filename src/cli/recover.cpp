/// recover: a project out of its repository, on a bare machine.
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "base/files.hpp"
#include "base/json.hpp"
#include "base/words.hpp"
#include "cli/recovering.hpp"
#include "cli/secrets.hpp"
#include "engine/context.hpp"
#include "rotate/places.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

struct Options {
  std::string repository, key, into, run, before;
  bool overwrite = false, compromised = false, dry_run = false, start = true;
};

/// Opens the repository, and the engine where there is one. No project is here yet.
Result<void> open_bare(Args& args, const Options& options, BackupSession& out, Fd& password) {
  out.environment = args.project.environment;
  out.working_directory = args.project.working_directory;
  out.stop = watch_signals();
  out.keys = key_sources(args);
  out.project = args.project.project_name;
  DM_TRY(const auto place, engine::find_engine({.host = args.host, .context = args.context}, args.project.environment, sources::disk()));
  DM_TRY(out.engine, engine::open_engine(place));
  DM_TRY(const auto info, during("asking the engine", out.engine->info(out.within(std::chrono::seconds(20)))));
  out.engine_id = info.id;
  if (out.password_file.empty()) {
    const auto standard = backup::default_repository("", out.environment, ::geteuid() == 0).password_file;
    if (sources::disk().stat(standard).kind != sources::Kind::regular) {
      auto typed = ask_hidden(fmt::format("Password of {}: ", options.repository));
      if (!typed) return fail(Error{Errc::not_found, fmt::format("no password for {}: give it by --password-file FILE", options.repository), {}, kNoKey});
      DM_TRY(password, memory_file("password", typed->reveal()));
      out.password_file = fmt::format("/proc/self/fd/{}", password.get());
    }
  }
  DM_TRY(out.repository, out.open(options.repository, false));
  return {};
}

/// The projects that have a manifest in the repository.
Result<std::set<std::string>> projects_of(BackupSession& session) {
  DM_TRY(const auto snapshots, session.repository->list(session.within(std::chrono::minutes(10))));
  std::set<std::string> out;
  for (const auto& snapshot : snapshots)
    if (snapshot.path == backup::manifest_path(snapshot.host)) out.insert(snapshot.host);
  return out;
}

bool chosen(const backup::Manifest& run, const Options& options) {
  if (!options.run.empty()) return run.run.starts_with(options.run);
  return !run.partial && no_later(run.started, options.before);
}

void print_plan(const Rebuild& rebuild, const Options& options) {
  const auto& run = rebuild.run;
  fmt::print("project {} as of {} ({:.1f} h ago), run {}, {}, {}\n", run.project, human_time(run.started), static_cast<double>(backup::unix_now() - run.started) / 3600, run.run, state::to_string(run.outcome()), human_bytes(rebuild.plan.bytes));
  for (const auto& step : rebuild.plan.steps) {
    std::uint64_t bytes = 0;
    for (const auto* saved : step.saved) bytes += saved->bytes;
    fmt::print("  {:14} {:36} {:>9}{}\n", recover::to_string(step.kind), step.to, human_bytes(bytes), step.kind == recover::Kind::offline ? "  before its server starts" : "");
  }
  for (const auto& image : rebuild.plan.pulls) fmt::print("  image          {:36}           is not here: it is pulled or built\n", image);
  for (const auto& gap : rebuild.plan.gaps) fmt::print("  gap            {}\n", gap);
  for (const auto& conflict : rebuild.plan.conflicts) fmt::print("  in the way     {}{}\n", conflict, options.overwrite ? ": it is kept under another name" : "");
  if (options.compromised) fmt::print("  in isolation: no port is published, networks have no way out; then every secret is changed\n");
}

/// After an intrusion: each sealed secret that a server takes from us is changed there; of the others it is said what a person has to do.
int rotate_all(const Args& args, Rebuild& rebuild) {
  auto now = args_of(args, rebuild);
  Session session;
  int exit = kFailed;
  auto loading = args_of(args, rebuild);
  if (!open_session(loading, {}, session, exit)) return exit;
  // As the files say it: with its secrets handed over as files, the project names no password any more.
  const auto& project = session.handover->written() != nullptr ? *session.handover->written() : session.project();
  const auto& sealed = session.handover->secrets();
  std::size_t changed = 0, failed = 0, names = 0;
  std::vector<std::pair<rotate::Secret, std::string>> by_hand;
  for (const auto* list : {&sealed.files, &sealed.service_files})
    for (const auto& file : *list)
      for (const auto& name : file.names) {
        ++names;
        if (file.has(secrets::rotated_name(name))) continue;
        const rotate::Secret secret{name, file.path, list == &sealed.files};
        const auto found = rotate::find_target(project, secret, "", "");
        if (!found.refusal.empty()) by_hand.emplace_back(secret, found.refusal);
        else if (!found.target && !found.users.empty())
          by_hand.emplace_back(secret, fmt::format("used by {}; make it anew where it comes from, then 'datamancy secrets set {} --in {}'", fmt::join(found.users, ", "), name, sources::relative_to(file.path, project.folder)));
        if (!found.target || !found.refusal.empty()) continue;
        auto one = args_of(args, rebuild);
        one.words = {name, "--in", file.path, "--yes"};
        fmt::print("-- {}\n", rotate::called(secret, project.folder));
        std::fflush(stdout);
        if (secrets_rotate(one) == kClean) ++changed;
        else ++failed;
      }
  // A client's own copy of a password that was changed has changed with it.
  auto after = args_of(args, rebuild);
  if (const auto then = secrets::Handover::open(rebuild.plan.folder, after.project, key_sources(after)); then && (*then)->load(after.project, product::Catalogue())) {
    const auto value = [](const secrets::ProjectSecrets& from, const rotate::Secret& secret) {
      const auto* file = from.file(secret.file);
      if (file != nullptr)
        if (auto variables = secrets::variables_of(from, *file, {}))
          for (auto& [name, text] : *variables)
            if (name == secret.name) return std::move(text);
      return secrets::SecretString();
    };
    std::erase_if(by_hand, [&](const auto& one) { return !(value(sealed, one.first) == value((*then)->secrets(), one.first)); });
  }
  fmt::print("{} secrets changed, {} could not be, {} are left to you\n", changed, failed, by_hand.size());
  for (const auto& [secret, why] : by_hand) fmt::print("  {}: {}\n", rotate::called(secret, project.folder), why);
  if (names == 0) fmt::print("  no sealed file: passwords that stand in files in the clear are not changed\n");
  fmt::print("  the age key: 'datamancy secrets init' elsewhere, 'secrets recipients', 'secrets reseal'\n"
             "  the repository's password: 'datamancy backup password'; credentials of its storage where they were issued\n"
             "  what was signed in: sessions, API tokens and SSH keys of people\n");
  return failed > 0 ? kFindings : kClean;
}

void print_json(const Rebuild& rebuild, bool fine, double seconds) {
  JsonWriter json;
  json.begin_object().key("project").value(rebuild.run.project).key("run").value(rebuild.run.run).key("folder").value(rebuild.plan.folder);
  json.key("recovered").value(fine).key("seconds").raw(fmt::format("{:.3f}", seconds)).key("age_seconds").value(backup::unix_now() - rebuild.run.started).key("steps").begin_array();
  for (const auto& line : rebuild.done)
    json.begin_object().key("kind").value(line.kind).key("what").value(line.what).key("outcome").value(state::to_string(line.outcome)).key("detail").value(line.detail).key("seconds").raw(fmt::format("{:.3f}", line.seconds)).end();
  json.end();
  for (const auto& [name, list] : {std::pair{"gaps", &rebuild.plan.gaps}, std::pair{"conflicts", &rebuild.plan.conflicts}, std::pair{"notes", &rebuild.notes}}) {
    json.key(name).begin_array();
    for (const auto& line : *list) json.value(line);
    json.end();
  }
  fmt::print("{}\n", json.end().take());
}

int run_recovery(Args& args, const Options& options, BackupSession& session) {
  const auto begin = Clock::now();
  auto history = backup::history(*session.repository, session.project, backup::kAllRuns, session.within(std::chrono::minutes(10)), [&](const backup::Manifest& one) { return chosen(one, options); });
  if (!history) return complain(history.error());
  const auto found = std::ranges::find_if(history->runs, [&](const backup::Manifest& one) { return chosen(one, options); });
  const auto* run = found == history->runs.end() ? nullptr : &*found;
  if (run == nullptr) return complain({Errc::not_found, fmt::format("{} has no such whole run of '{}'", options.repository, session.project), {}});
  if (options.run.empty())
    if (const auto newest = none_passed_over(*history, *run, options.before); !newest) return complain(newest.error());
  const recover::Wanted wanted{.folder = options.into, .shelter = {}};
  auto around = look_around(session, *run, wanted);
  if (!around) return complain(around.error());
  Rebuild rebuild{.backup = session, .run = *run, .plan = recover::plan(*run, wanted, *around)};
  rebuild.name = run->project;
  if (!session.json) print_plan(rebuild, options);
  if (rebuild.plan.folder.empty()) return complain({Errc::invalid_input, "this run does not say where the project's files were: name a folder by --into", {}});
  if (options.dry_run) {
    if (session.json) print_json(rebuild, false, 0);
    return rebuild.plan.conflicts.empty() || options.overwrite ? kClean : kFindings;
  }
  if (around->containers > 0) return complain({Errc::conflict, fmt::format("project '{}' has containers on this engine: take it down first (datamancy down), or look with --dry-run", session.project), {}});
  if (!rebuild.plan.conflicts.empty() && !options.overwrite) return complain({Errc::conflict, "nothing was touched: what is in the way is listed above; --overwrite moves it aside under another name", {}});
  if (::geteuid() != 0 && std::ranges::any_of(rebuild.plan.steps, [](const recover::Step& step) { return step.kind == recover::Kind::volume; }))
    return complain({Errc::denied, "volumes are filled by root, on the engine's own machine: run it with sudo", {}});
  if (!agreed(session, fmt::format("Rebuild '{}' in {}{}?", run->project, rebuild.plan.folder, options.start ? " and start it" : ""))) return kFailed;
  if (options.overwrite) rebuild.keep_suffix = "before-" + run->run.substr(run->run.find('-') + 1) + fmt::format("-{}", backup::unix_now());
  if (!session.json)
    rebuild.tell = [](const Recovered& line) {
      fmt::print("  {:16} {:14} {:34} {} ({:.1f} s)\n", state::to_string(line.outcome), line.kind, line.what, line.detail, line.seconds);
      std::fflush(stdout);
    };
  const auto opened = session.open_state();
  if (!opened) return complain(opened.error());
  auto lock = state::lock_store(session.store, "recover", session.within(std::chrono::seconds(10)));
  if (!lock) return complain(lock.error());
  const auto entry = state::begin(*session.db, {.at = backup::unix_now(), .who = who(), .verb = "recover", .subject = session.project, .action = fmt::format("from {} of {}", run->run, session.repository->location().name)});
  const auto give_up = [&](const Error& error) {
    state::finish(*session.db, entry, "failed: " + error.message);
    if (session.json) print_json(rebuild, false, std::chrono::duration<double>(Clock::now() - begin).count());
    return complain(error);
  };
  if (const auto files = rebuild_files(rebuild); !files) return give_up(files.error());
  if (options.compromised) {
    rebuild.override_file = rebuild.plan.folder + "/compose.datamancy-isolated.yaml";
    if (const auto cut = write_isolation(args, rebuild); !cut) return give_up(cut.error());
  }
  if (options.start) {
    if (const auto data = rebuild_data(args, rebuild); !data) return give_up(data.error());
    const auto up = start_all(args, rebuild);
    if (!up) return give_up(up.error());
    if (!session.json) fmt::print("{}", deploy::outcome_text(*up, rebuild.name));
    if (!up->fine) return give_up({up->interrupted ? Errc::conflict : Errc::failed, up->interrupted ? "interrupted" : "the data is back, but not every service is well", {}});
  }
  const auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const auto missing = std::ranges::count_if(rebuild.done, [](const Recovered& line) { return line.outcome != state::Outcome::verified; });
  state::finish(*session.db, entry, missing == 0 ? "recovered" : "recovered, but not everything");
  constexpr double kObjective = 4 * 3600;  // of a host
  if (session.json) {
    print_json(rebuild, missing == 0, seconds);
  } else {
    for (const auto& note : rebuild.notes) fmt::print("note: {}\n", note);
    if (missing > 0) fmt::print("{} did not come back: see above\n", counted(static_cast<std::size_t>(missing), "part"));
    fmt::print("recovered in {:.0f} s (objective {:.0f} h), data of {}\n", seconds, kObjective / 3600, human_time(run->started));
    if (!options.start) fmt::print("only files: volumes and databases come with a recovery that may start the datastores\n");
    else if (!options.compromised) fmt::print("next: 'datamancy check' in {}, then 'datamancy backup run'\n", rebuild.plan.folder);
  }
  if (!options.compromised || !options.start) return missing == 0 ? kClean : kFindings;
  *lock = Fd();  // each rotation takes the lock of the project itself
  const int rotated = rotate_all(args, rebuild);
  fmt::print("it runs in isolation by {}; when all is well, 'datamancy up' in {} without that file opens it\n", rebuild.override_file, rebuild.plan.folder);
  return rotated == kClean && missing > 0 ? kFindings : rotated;
}

}  // namespace

int recover(Args& args) {
  BackupSession session;
  Options options;
  session.json = args.has("--json");
  session.yes = args.has("--yes") || args.has("-y");
  session.quiet = args.has("--quiet") || args.has("-q");
  options.overwrite = args.has("--overwrite");
  options.compromised = args.has("--after-compromise");
  options.dry_run = args.has("--dry-run");
  options.start = !args.has("--files-only");
  args.option("--password-file", session.password_file);
  args.option("--key", options.key);
  args.option("--into", options.into);
  args.option("--run", options.run);
  args.option("--before", options.before);
  args.option("--project", args.project.project_name);
  if (const auto moment = check_moment(options.before); !moment) return complain(moment.error());
  if (args.words.size() != 1 || args.words[0].starts_with('-')) {
    fmt::print(stderr, "usage: datamancy recover REPOSITORY [--password-file FILE] [--key FILE] [--into DIR] [--project NAME] [--run RUN] [--before DATE]\n");
    return kUsage;
  }
  options.repository = args.words[0];
  if (options.repository.find('/') == std::string::npos && options.repository.find(':') == std::string::npos) options.repository = "./" + options.repository;
  if (options.repository.starts_with('.')) options.repository = absolute(args, options.repository);
  if (!options.into.empty()) options.into = absolute(args, options.into);
  if (!options.key.empty()) {
    options.key = absolute(args, options.key);
    if (sources::disk().stat(options.key).kind != sources::Kind::regular) return complain(Error{Errc::not_found, fmt::format("there is no key file {}", options.key), {}, kNoKey});
    args.project.environment["SOPS_AGE_KEY_FILE"] = options.key;
    ::setenv("SOPS_AGE_KEY_FILE", options.key.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): before any thread
  }
  Fd password;
  if (const auto opened = open_bare(args, options, session, password); !opened) return complain(opened.error());
  if (session.project.empty()) {
    const auto projects = projects_of(session);
    if (!projects) return complain(projects.error());
    if (projects->empty()) return complain({Errc::not_found, fmt::format("{} holds no run of a project", options.repository), {}});
    if (projects->size() > 1) return complain({Errc::invalid_input, fmt::format("{} holds {}: name one by --project", options.repository, fmt::join(*projects, ", ")), {}});
    session.project = *projects->begin();
  }
  return run_recovery(args, options, session);
}

}  // namespace dm::cli

/// drill stack: the whole project out of its repository, beside itself, cut off from everything; compared, measured, removed.
#include "cli/drill_stack.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/files.hpp"
#include "base/json.hpp"
#include "cli/recovering.hpp"
#include "drill/restore.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

constexpr std::int64_t kHost = 4 * 3600;  ///< seconds until a host is back (item O71)
constexpr std::string_view kLabel = "datamancy.drill";

/// Containers, volumes and networks of this project's drills. What is in use by something else stays, and is said.
Result<std::size_t> remove_all(engine::Engine& engine, const std::string& project) {
  const auto deadline = Deadline::in(std::chrono::minutes(5));
  DM_TRY(auto count, drill::clean_up(engine, project, deadline));
  DM_TRY(const auto networks, engine.networks({fmt::format("{}={}", kLabel, project)}, deadline));
  for (const auto& network : networks) {
    DM_CHECK(engine.remove_network(network.id, deadline));
    ++count;
  }
  return count;
}

/// Everything on disk and in memory that a drill makes.
struct Places {
  std::string folder, shelter, memory, override_file;
  ~Places() { clear(); }
  void clear() const {
    std::error_code ignored;
    for (const auto& path : {folder, shelter, memory})
      if (!path.empty()) std::filesystem::remove_all(path, ignored);
    ::unlink(override_file.c_str());
  }
};

/// What failed drills of this project left in memory.
void clear_memory(const std::string& prefix) {
  for (const auto& name : sources::disk().list("/dev/shm"))
    if (name.starts_with(prefix)) {
      std::error_code ignored;
      std::filesystem::remove_all("/dev/shm/" + name, ignored);
    }
}

/// Why it cannot be said that the stack comes back; "" = it does.
std::string trouble(const Rebuild& rebuild, const Result<deploy::UpOutcome>& up) {
  if (!up) return up.error().describe();
  if (up->interrupted) return "interrupted";
  if (!up->fine) return up->services.empty() ? up->creation_error : fmt::format("{} is not well: {}", up->services.front().service, up->services.front().view.why);
  for (const auto& line : rebuild.done)
    if (line.outcome != state::Outcome::verified) return fmt::format("{}: {}", line.what, line.detail);
  return {};
}

}  // namespace

int drill_stack(Args& args) {
  BackupSession session;
  std::string run_name;
  const bool keep = args.has("--keep");
  args.option("--run", run_name);
  if (auto opened = open_backup(args, Needs::engine_and_repository, false, session); !opened) return complain(opened.error());
  if (!args.words.empty()) {
    fmt::print(stderr, "datamancy: drill stack does not know '{}'\n", args.words.front());
    return kUsage;
  }
  if (::geteuid() != 0) return complain({Errc::denied, "volumes are filled by root, on the engine's own machine: run it with sudo", {}});
  const auto lock = state::lock_store(session.store, "drill stack", session.within(std::chrono::seconds(10)));
  if (!lock) return complain(lock.error());
  const auto memory_prefix = fmt::format("datamancy-stack-{}-", session.project);
  Places places;
  places.folder = session.store + "/stack-drill";
  places.shelter = session.store + "/stack-drill-folders";
  places.override_file = session.store + "/stack-drill.yaml";
  places.clear();
  clear_memory(memory_prefix);
  const auto clear_secrets = [&] {  // the files that rebuilt projects got; nobody else drills this one now
    const std::filesystem::path all = std::filesystem::path(secrets::runtime_folder(session.project, args.project.environment)).parent_path();
    std::error_code ignored;
    std::vector<std::filesystem::path> gone;
    for (const auto& one : std::filesystem::directory_iterator(all, ignored))
      if (one.path().filename().string().starts_with(session.project + "-drill-")) gone.push_back(one.path());
    for (const auto& one : gone) std::filesystem::remove_all(one, ignored);
  };
  clear_secrets();
  if (const auto left = remove_all(*session.engine, session.project); !left) return complain(left.error());
  else if (*left > 0) fmt::print(stderr, "datamancy: removed {} things that an interrupted drill had left\n", *left);
  auto history = backup::history(*session.repository, session.project, backup::kAllRuns, session.within(std::chrono::minutes(10)), backup::found_by(run_name));
  if (!history) return complain(history.error());
  const auto* run = history->find(run_name);
  if (run == nullptr || run->partial) return complain({Errc::not_found, fmt::format("there is no whole run to rebuild in {}", session.repository->location().url), {}});
  const auto past = run_name.empty() ? history->passed_over(run) : std::string();
  if (!past.empty()) fmt::print(stderr, "datamancy: {}; an older run is rebuilt\n", past);
  auto memory = "/dev/shm/" + memory_prefix + "XXXXXX";
  if (::mkdtemp(memory.data()) == nullptr) return complain(errno_error("make " + memory, errno));
  places.memory = memory;

  const auto begin = Clock::now();
  const auto entry = state::begin(*session.db, {.at = backup::unix_now(), .who = who(), .verb = "drill stack", .subject = session.project, .action = "rebuild from " + run->run});
  const recover::Wanted wanted{.folder = places.folder, .shelter = places.shelter};
  Rebuild rebuild{.backup = session, .run = *run, .plan = recover::plan(*run, wanted, {})};
  rebuild.name = fmt::format("{}-drill-{}", session.project, ::getpid());
  rebuild.shelter = places.shelter;
  rebuild.open_secrets = places.memory;
  rebuild.override_file = places.override_file;
  rebuild.label = fmt::format("{}={}", kLabel, session.project);
  rebuild.apart = true;
  if (!session.json)
    rebuild.tell = [](const Recovered& line) {
      fmt::print("  {:16} {:14} {:34} {} ({:.1f} s)\n", state::to_string(line.outcome), line.kind, line.what, line.detail, line.seconds);
      std::fflush(stdout);
    };
  const auto up = [&]() -> Result<deploy::UpOutcome> {
    DM_CHECK(rebuild_files(rebuild));
    DM_CHECK(write_isolation(args, rebuild));
    DM_CHECK(rebuild_data(args, rebuild));
    return start_all(args, rebuild);
  }();
  const auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const auto age = backup::unix_now() - run->started;
  auto why = trouble(rebuild, up);
  auto outcome = why.empty() ? state::Outcome::verified : state::Outcome::failed;
  if (!up && (up.error().code == Errc::unavailable || up.error().code == Errc::timeout || up.error().code == Errc::unsupported || up.error().exit == kNoKey || session.stop.stop_requested())) outcome = state::Outcome::could_not_verify;
  if (why.empty() && seconds > static_cast<double>(kHost)) why = fmt::format("it came back in {:.0f} s; the objective is {} s", seconds, kHost);
  if (why.empty() && age > session.settings.objective) why = fmt::format("it came back, {:.1f} h old; the objective is {:.0f} h", static_cast<double>(age) / 3600, static_cast<double>(session.settings.objective) / 3600);
  if (why.empty() && !rebuild.plan.gaps.empty()) why = rebuild.plan.gaps.front();
  if (why.empty() && !past.empty()) why = "it came back, but " + past;
  if (!why.empty() && outcome == state::Outcome::verified) outcome = state::Outcome::failed;
  const auto services = up ? up->services.size() : std::size_t{0};
  const auto detail = why.empty() ? fmt::format("{} services up and stable, {} parts equal, back in {:.0f} s of {} s, {:.1f} h old", services, rebuild.done.size(), seconds, kHost, static_cast<double>(age) / 3600) : why;

  std::string left;
  if (keep) {
    left = fmt::format("project {} is left as it is: its containers, volumes and networks carry the label {}", rebuild.name, rebuild.label);
    places = {};
  } else if (const auto gone = remove_all(*session.engine, session.project); !gone) {
    left = "not everything could be removed: " + gone.error().describe();
  }
  if (!keep) clear_secrets();
  // The rebuilt project had a store of its own.
  const auto root = state::root_folder(plain_environment(args), ::geteuid() == 0);
  if (const auto store = state::store_folder(root, session.engine_id, rebuild.name)) {
    std::error_code ignored;
    std::filesystem::remove_all(*store, ignored);
  }
  state::finish(*session.db, entry, state::to_string(outcome));
  const auto now = backup::unix_now();
  state::add(*session.db, state::Proof{.control = "drill.stack", .subject = "", .result = outcome, .evidence = fmt::format("run {}: {}", run->run, detail), .made = now, .expires = now + 35 * 86400,
                                       .binding = {.engine = run->engine}, .command = "datamancy drill stack"});
  if (session.json) {
    JsonWriter json;
    json.begin_object().key("run").value(run->run).key("outcome").value(state::to_string(outcome)).key("detail").value(detail).key("services").value(static_cast<std::uint64_t>(services));
    json.key("recovery_seconds").raw(fmt::format("{:.3f}", seconds)).key("objective_seconds").value(kHost).key("age_seconds").value(age).key("steps").begin_array();
    for (const auto& line : rebuild.done)
      json.begin_object().key("kind").value(line.kind).key("what").value(line.what).key("outcome").value(state::to_string(line.outcome)).key("detail").value(line.detail).key("seconds").raw(fmt::format("{:.3f}", line.seconds)).end();
    json.end().key("notes").begin_array();
    for (const auto& note : rebuild.notes) json.value(note);
    fmt::print("{}\n", json.end().end().take());
  } else {
    if (up && !up->fine) fmt::print("{}", deploy::outcome_text(*up, rebuild.name));
    for (const auto& note : rebuild.notes) fmt::print("  not as in the real one: {}\n", note);
    fmt::print("{}: {}\n", state::to_string(outcome), detail);
  }
  if (!left.empty()) fmt::print(stderr, "datamancy: {}\n", left);
  if (session.stop.stop_requested()) return kInterrupted;
  return status_of(outcome);
}

}  // namespace dm::cli

/// backup restore: brings data back, beside what is there, into a folder, or in its place.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <set>
#include <thread>

#include "backup/pipe.hpp"
#include "backup/tree.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "cli/backup.hpp"
#include "compose/labels.hpp"
#include "recover/bring_back.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

using backup::Saved;

struct Plan {
  std::string subject, item, to, as, path;
  bool replace = false;
};

/// Into a folder: dumps as files, trees unpacked. What is not whole in the end is removed.
Result<std::string> into_folder(BackupSession& session, const Saved& saved, const Plan& plan) {
  const auto folder = plan.to + "/" + saved.path.substr(saved.path.find('/', 1) + 1, saved.path.rfind('/') - saved.path.find('/', 1) - 1);
  DM_CHECK(make_folders(folder, 0700));
  const auto deadline = session.within(std::chrono::hours(24));
  if (saved.target.kind == "tree") {
    backup::TreeUnpacker unpacker(folder, plan.path);
    DM_CHECK(backup::read_back(*session.repository, saved, [&](std::string_view piece) { return unpacker.take(piece); }, deadline));
    DM_CHECK(unpacker.finish());
    if (!plan.path.empty() && unpacker.count() == 0) return fail(Errc::not_found, fmt::format("there is no '{}' in it", plan.path));
    return fmt::format("{} entries in {}", unpacker.count(), folder);
  }
  const auto file = folder + "/" + saved.path.substr(saved.path.rfind('/') + 1);
  const auto partial = file + ".partial";
  {
    const Fd out(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) return fail(errno_error("make " + partial, errno));
    auto done = backup::read_back(*session.repository, saved, [&](std::string_view piece) { return write_all(out.get(), piece); }, deadline);
    if (done && ::fsync(out.get()) != 0) done = fail(errno_error("write " + partial, errno));
    if (!done) {
      ::unlink(partial.c_str());
      return fail(std::move(done).error());
    }
  }
  if (::rename(partial.c_str(), file.c_str()) != 0) return fail(errno_error("rename " + partial, errno));
  return fmt::format("{} in {}", human_bytes(saved.bytes), file);
}

/// The same database, read again from where it was restored to.
Result<void> compare(BackupSession& session, const backup::Driver& driver, const backup::Target& target, const Saved& saved, const std::string& name, const Deadline& deadline) {
  backup::Item item;
  item.name = name;
  const auto reader = driver.reader(item);
  std::vector<std::string> notes;
  DM_CHECK(driver.dump(*session.engine, target, item, [&](std::string_view piece) { return reader->take(piece); }, notes, deadline));
  DM_TRY(auto print, reader->finish());
  if (saved.beside()) print = backup::narrowed(std::move(print), saved.fingerprint);
  const auto how = name == saved.item ? driver.comparison(saved.target, target) : std::min(backup::Compare::data, std::max(backup::Compare::renamed, driver.comparison(saved.target, target)));
  if (const auto lines = backup::differences(saved.fingerprint, print, how); !lines.empty()) return fail(Errc::corrupt, fmt::format("what was restored is not what was saved: {}", lines.front()));
  return {};
}

/// Into the running server.
Result<std::string> into_server(BackupSession& session, const backup::Inventory& inventory, const Saved& saved, const Plan& plan) {
  const auto* subject = inventory.find(saved.subject);
  if (subject == nullptr || !subject->running) return fail(Errc::conflict, fmt::format("service '{}' does not run; start it, or restore into a folder with --to", saved.subject));
  const auto* driver = backup::driver_of(saved.target.kind);
  if (driver == nullptr) return fail(Errc::unsupported, fmt::format("no driver for {}", saved.target.kind));
  auto target = subject->target;
  const auto deadline = session.within(std::chrono::hours(24));
  DM_CHECK(driver->examine(*session.engine, target, deadline));
  const auto name = plan.as.empty() ? saved.item : plan.as;
  backup::Item item;
  item.name = saved.item;
  item.file = saved.path.substr(saved.path.rfind('/') + 1);
  const backup::RestoreInto into{.name = plan.as, .replace = plan.replace};
  const bool accounts = saved.beside();
  const bool compared = !accounts || saved.by_account(driver->comparison(saved.target, target));
  auto done = backup::stream_between([&](const Sink& out) { return backup::read_back(*session.repository, saved, out, deadline); }, [] { return Result<void>(); },
                                     [&](const Source& in) { return driver->restore(*session.engine, target, item, in, into, deadline); });
  if (done && compared) done = compare(session, *driver, target, saved, name, deadline);
  // What the server was kept from doing until then it does again, however that ended, and after an interruption, too.
  const auto on = accounts ? Result<void>() : driver->compared(*session.engine, target, item, into, Deadline::in(std::chrono::minutes(5)));
  DM_CHECK(done);
  DM_CHECK(on);
  if (accounts) return fmt::format("{} {}", saved.item, compared ? fmt::format("restored: {} accounts, equal to the backup", saved.fingerprint.parts.size()) : "restored");
  return fmt::format("database '{}': {} rows, equal to the backup", name, saved.fingerprint.rows());
}

/// Servers that read their data when they start, and take none while they run.
bool read_at_start(const Saved& saved) { return saved.target.kind == "valkey" || saved.target.kind == "openldap"; }

/// All of one such server: it stands still while a throw-away container of its image fills its volumes and compares. Where that fails it
/// stays down, since what it would start with is not whole.
Result<std::string> into_stopped_server(BackupSession& session, const std::vector<const Saved*>& saved, const std::string& safety) {
  const auto& service = saved.front()->subject;
  const auto deadline = session.within(std::chrono::hours(24));
  DM_TRY(const auto containers, session.engine->containers({.labels = compose::replicas_of(session.project, service)}, deadline));
  if (containers.size() != 1) return fail(Errc::unsupported, fmt::format("service '{}' has {} containers; a restore in place needs exactly one", service, containers.size()));
  const auto& id = containers.front().id;
  DM_CHECK(session.engine->stop(id, -1, deadline));
  auto back = recover::offline(*session.engine, *session.repository, saved, id, "datamancy.restore=" + session.project, progress_of(session), deadline);
  if (!back) {
    auto error = std::move(back).error();
    error.message += fmt::format("; '{}' is stopped, run {} has what it held", service, safety);
    return fail(std::move(error));
  }
  DM_CHECK(session.engine->start(id, deadline));
  const auto* driver = backup::driver_of(saved.front()->target.kind);
  auto target = saved.front()->target;
  target.container = id;
  const auto until = deadline.at_most(std::chrono::minutes(3));
  // Twice: an image's entrypoint may run a first server for its own set-up.
  for (int good = 0;;) {
    const auto seen = driver->answers(*session.engine, target, until);
    good = seen ? good + 1 : 0;
    if (good == 2) return back->detail + "; it runs again";
    if (!seen && (until.passed() || until.stopped())) return fail(Errc::timeout, fmt::format("its data is back ({}), but it does not answer: {}; run {} has what it held before", back->detail, seen.error().message, safety));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

/// A volume or folder in its place: its services stand still meanwhile, what was there is kept beside it until all is back.
Result<std::string> into_place(BackupSession& session, const backup::Inventory& inventory, const Saved& saved) {
  const auto* subject = inventory.find(saved.subject);
  if (subject == nullptr) return fail(Errc::not_found, fmt::format("'{}' is not there any more; restore it into a folder with --to", saved.subject));
  const auto found = subject->target.facts.find("path");
  const std::string path = found == subject->target.facts.end() ? "" : found->second;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || ::access(path.c_str(), W_OK) != 0) return fail(Errc::denied, fmt::format("{} cannot be written here: run as root on the engine's own machine, or restore with --to", path));
  const auto deadline = session.within(std::chrono::hours(24));
  // Unpacked beside, in the same file system, and swapped entry by entry: an interruption leaves both.
  const auto fresh = fmt::format("{}/{}", path, backup::kUnpacked), old = fmt::format("{}/{}", path, backup::kBefore);
  if (sources::disk().stat(old).kind != sources::Kind::missing)
    return fail(Errc::conflict, fmt::format("{} is left of an earlier restore and holds what was there before it: remove it where all is well, else move its entries back up; then again", old));
  std::error_code error;
  std::filesystem::remove_all(fresh, error);  // of one that was cut off while it unpacked
  if (error) return fail(errno_error("remove " + fresh, error.value()));
  std::vector<std::string> stopped;
  DM_TRY(const auto containers, session.engine->containers({.labels = compose::of_project(session.project)}, deadline));
  for (const auto& container : containers) {
    if (container.state != "running" || std::ranges::find(subject->services, compose::service_of(container.labels)) == subject->services.end()) continue;
    DM_CHECK(session.engine->stop(container.id, -1, deadline));
    stopped.push_back(container.id);
  }
  const auto start_again = [&]() -> Result<void> {
    for (const auto& id : stopped) DM_CHECK(session.engine->start(id, Deadline::in(std::chrono::minutes(5))));
    return {};
  };
  const auto work = [&]() -> Result<std::size_t> {
    if (::mkdir(fresh.c_str(), 0700) != 0) return fail(errno_error("make " + fresh, errno));
    backup::TreeUnpacker unpacker(fresh, "");
    DM_CHECK(backup::read_back(*session.repository, saved, [&](std::string_view piece) { return unpacker.take(piece); }, deadline));
    DM_CHECK(unpacker.finish());
    if (::mkdir(old.c_str(), 0700) != 0) return fail(errno_error("make " + old, errno));
    const auto move_all = [](const std::string& from, const std::string& to, const std::vector<std::string>& but) -> Result<void> {
      for (const auto& name : sources::disk().list(from)) {
        if (std::ranges::find(but, name) != but.end()) continue;
        if (::rename((from + "/" + name).c_str(), (to + "/" + name).c_str()) != 0) return fail(errno_error(fmt::format("move {}/{}", from, name), errno));
      }
      return {};
    };
    DM_CHECK(move_all(path, old, {std::string(backup::kUnpacked), std::string(backup::kBefore)}));
    DM_CHECK(move_all(fresh, path, {}));
    struct stat mode {};
    if (::stat(fresh.c_str(), &mode) == 0 && (::chmod(path.c_str(), mode.st_mode & 07777U) != 0 || ::chown(path.c_str(), mode.st_uid, mode.st_gid) != 0)) return fail(errno_error("set the owner of " + path, errno));
    ::rmdir(fresh.c_str());
    return unpacker.count();
  };
  auto done = work();
  auto started = start_again();
  if (!done) return fail(std::move(done).error());
  if (!started) return fail(std::move(started).error());
  return fmt::format("{} entries in {}; what was there before is in {}: remove it when all is well", *done, path, old);
}

}  // namespace

int backup_restore(Args& args) {
  BackupSession session;
  Plan plan;
  std::string run_name, at;
  args.option("--to", plan.to);
  args.option("--as", plan.as);
  args.option("--path", plan.path);
  args.option("--run", run_name);
  args.option("--before", at);
  if (const auto moment = check_moment(at); !moment) return complain(moment.error());
  const bool in_place = args.has("--in-place");
  const bool all = args.has("--all");
  if (auto opened = open_backup(args, plan.to.empty() ? Needs::engine_and_repository : Needs::repository, false, session); !opened) return complain(opened.error());
  if ((args.words.empty() && !all) || args.words.size() > 2 || (!args.words.empty() && args.words[0].starts_with('-')) || (plan.to.empty() && plan.as.empty() && !in_place)) {
    fmt::print(stderr, "usage: datamancy backup restore SUBJECT [ITEM] | --all  --to FOLDER [--path PATH] | --as NAME | --in-place  [--run RUN] [--before YYYY-MM-DD[THH:MM]]\n");
    return kUsage;
  }
  if (!args.words.empty()) plan.subject = args.words[0];
  if (args.words.size() > 1) plan.item = args.words[1];
  plan.replace = in_place;
  if (!plan.to.empty()) plan.to = sources::clean_path(plan.to, session.working_directory);
  const auto enough = at.empty() ? backup::found_by(run_name) : [&](const backup::Manifest& run) { return no_later(run.started, at); };
  auto history = backup::history(*session.repository, session.project, backup::kAllRuns, session.within(std::chrono::minutes(10)), enough);
  if (!history) return complain(history.error());
  const auto in_time = std::ranges::find_if(history->runs, enough);
  const auto* found = at.empty() ? history->find(run_name) : in_time == history->runs.end() ? nullptr : &*in_time;
  if (found == nullptr) return complain({Errc::not_found, "there is no such run", {}});
  if (run_name.empty())
    if (const auto newest = none_passed_over(*history, *found, at); !newest) return complain(newest.error());
  std::vector<const Saved*> chosen;
  for (const auto& saved : found->saved) {
    if (!all && saved.subject != plan.subject) continue;
    if (!plan.item.empty() && saved.item != plan.item) continue;
    if (!plan.as.empty() && saved.beside()) continue;
    if (saved.snapshot.empty()) return complain({Errc::failed, fmt::format("{}/{} was not saved in this run: {}", saved.subject, saved.item, saved.trouble), {}});
    chosen.push_back(&saved);
  }
  if (chosen.empty()) {
    std::set<std::string> there;
    for (const auto& saved : found->saved) there.insert(saved.subject == plan.subject ? fmt::format("{} {}", saved.subject, saved.item) : saved.subject);
    return complain({Errc::not_found, fmt::format("run {} has no {}{}{}; it has {}", found->run, plan.subject, plan.item.empty() ? "" : "/", plan.item, fmt::join(there, ", ")), {}});
  }
  if (!plan.as.empty() && chosen.size() != 1) return complain({Errc::invalid_input, "--as needs one database: name it behind the service", {}});
  // Files first, then databases: the other way round than saving.
  std::ranges::stable_sort(chosen, [](const Saved* a, const Saved* b) { return (a->target.kind == "tree") > (b->target.kind == "tree"); });
  std::optional<backup::Inventory> inventory;
  std::optional<Fd> lock;
  std::string safety_run;
  if (plan.to.empty()) {
    auto got = session.inventory();
    if (!got) return complain(got.error());
    inventory = *std::move(got);
    auto locked = state::lock_store(session.store, "backup restore", session.within(std::chrono::seconds(10)));
    if (!locked) return complain(locked.error());
    lock = *std::move(locked);
  }
  if (in_place) {
    std::string what;
    for (const auto* saved : chosen) what += fmt::format("{}{}/{}", what.empty() ? "" : ", ", saved->subject, saved->item);
    if (!agreed(session, fmt::format("Replace the live data of {} by that of {} ({})? What is there now is saved first.", what, found->run, human_time(found->started)))) return kFailed;
    // The safety copy: databases into the repository, verified; trees stay beside.
    backup::RunOptions options;
    for (const auto* saved : chosen)
      if (saved->target.kind != "tree" && std::ranges::find(options.only, saved->subject) == options.only.end()) options.only.push_back(saved->subject);
    options.progress = progress_of(session);
    options.quiesced = session.store + "/quiesced";
    if (!options.only.empty()) {
      const auto safety = backup::run_backup(*session.engine, *inventory, *session.repository, options, session.within(std::chrono::hours(24)));
      if (!safety) return complain(safety.error());
      if (safety->outcome() != state::Outcome::verified) return complain({Errc::conflict, fmt::format("nothing was touched: the safety copy {} is not verified ({})", safety->run, safety->saved.empty() ? "" : safety->saved.front().trouble), {}});
      fmt::print(stderr, "safety copy: run {}\n", safety->run);
      safety_run = safety->run;
    }
  }
  const auto entry = session.begin("backup restore", fmt::format("from {} {}", found->run, plan.to.empty() ? in_place ? "in place" : "as " + plan.as : "to " + plan.to), plan.subject);
  bool failed = false;
  JsonWriter json;
  json.begin_object().key("run").value(found->run).key("restored").begin_array();
  const auto report = [&](const std::string& what, const Result<std::string>& done) {
    failed = failed || !done;
    const auto line = done ? *done : done.error().describe();
    if (session.json) json.begin_object().key("what").value(what).key("restored").value(static_cast<bool>(done)).key("detail").value(line).end();
    else fmt::print("{:9} {}: {}\n", done ? "restored" : "FAILED", what, line);
  };
  for (const auto* saved : chosen) {
    if (in_place && plan.to.empty() && read_at_start(*saved)) {
      const auto same = [&](const Saved* other) { return other->subject == saved->subject; };
      if (*std::ranges::find_if(chosen, same) != saved) continue;  // with the first of them came all
      std::vector<const Saved*> streams;
      std::ranges::copy_if(chosen, std::back_inserter(streams), same);
      report(saved->subject, into_stopped_server(session, streams, safety_run));
      continue;
    }
    const auto done = !plan.to.empty() ? into_folder(session, *saved, plan) : saved->target.kind == "tree" ? into_place(session, *inventory, *saved) : into_server(session, *inventory, *saved, plan);
    report(fmt::format("{}/{}", saved->subject, saved->item), done);
  }
  state::finish(*session.db, entry, failed ? "failed" : "restored");
  if (session.json) fmt::print("{}\n", json.end().end().take());
  return failed ? kFindings : kClean;
}

}  // namespace dm::cli

#include "drill/restore.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "backup/pipe.hpp"
#include "backup/tree.hpp"
#include "deploy/bring_up.hpp"

namespace dm::drill {
namespace {

using backup::Saved;
using state::Outcome;

constexpr const char* kLabel = "datamancy.drill";

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// The engine holds up everything that has to do with volumes while it removes one, with a million files for minutes: emptied first.
Result<void> remove_volume(engine::Engine& engine, const std::string& name, const Deadline& deadline) {
  if (const auto volume = engine.volume(name, deadline); volume && volume->driver == "local" && volume->options.empty()) {
    std::error_code error;
    for (std::filesystem::directory_iterator at(volume->mountpoint, error), end; !error && at != end; at.increment(error)) {
      std::error_code ignored;  // what cannot be removed is left to the engine
      std::filesystem::remove_all(at->path(), ignored);
    }
  }
  return engine.remove_volume(name, /*force=*/true, deadline);
}

/// What one drill made; removed also where it ends early.
class Stage {
 public:
  Stage(engine::Engine& engine) : engine_(engine) {}
  ~Stage() {
    const auto deadline = Deadline::in(std::chrono::minutes(1));
    for (const auto& id : containers) (void)engine_.remove(id, /*force=*/true, /*volumes=*/true, deadline);
    for (const auto& name : volumes) (void)remove_volume(engine_, name, Deadline::in(std::chrono::minutes(10)));
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  std::vector<std::string> containers, volumes;

 private:
  engine::Engine& engine_;
};

/// What the trouble says about the backup: nothing where only our means failed.
Outcome meaning(const Error& error) {
  if (error.message.find("o space left on device") != std::string::npos) return Outcome::could_not_verify;
  switch (error.code) {
    case Errc::corrupt:
    case Errc::failed:
    case Errc::invalid_input:
    case Errc::conflict: return error.message.starts_with("interrupted") ? Outcome::could_not_verify : Outcome::failed;
    case Errc::not_found:
    case Errc::denied:
    case Errc::unavailable:
    case Errc::timeout:
    case Errc::unsupported: return Outcome::could_not_verify;
  }
  return Outcome::could_not_verify;
}

/// To have a stand-in is our own means.
template <class T>
Result<T> means(Result<T> result) {
  if (result || result.error().code != Errc::failed) return result;
  auto error = std::move(result).error();
  error.code = Errc::unavailable;
  return fail(std::move(error));
}

/// Fingerprint of what is in the stand-in now, by the code that made the backup's.
Result<backup::Fingerprint> look_again(engine::Engine& engine, const backup::Driver& driver, const backup::Target& target, const backup::Item& item, const Deadline& deadline) {
  const auto reader = driver.reader(item);
  std::vector<std::string> notes;
  DM_CHECK(driver.dump(engine, target, item, [&](std::string_view piece) { return reader->take(piece); }, notes, deadline));
  return reader->finish();
}

/// Of a log's last lines those that say why, else the last two: standard output and error come mixed, and the reason is seldom last.
std::vector<std::string> telling(std::vector<std::string> lines) {
  constexpr std::array<std::string_view, 5> kWords{"FATAL", "ERROR", "error:", "No space", "could not"};
  constexpr std::size_t kMost = 2;
  auto out = lines;
  std::erase_if(out, [&](const std::string& line) { return std::ranges::none_of(kWords, [&](std::string_view word) { return line.find(word) != std::string::npos; }); });
  if (out.empty()) out = std::move(lines);
  if (out.size() > kMost) out.erase(out.begin(), out.end() - kMost);
  return out;
}

class Rehearsal {
 public:
  Rehearsal(engine::Engine& engine, backup::Repository& repository, const backup::OnProgress& progress, const Deadline& deadline)
      : engine_(engine), repository_(repository), progress_(progress), deadline_(deadline) {}

  Result<void> server(const backup::Driver& driver, const std::vector<const Saved*>& saved, Report& report) {
    Stage stage(engine_);
    const auto begin = Clock::now();
    backup::Target target = saved.front()->target;
    DM_TRY(auto wanted, driver.stand_in(target));
    wanted.name = fmt::format("datamancy-drill-{}-{}-{}", target.project, target.service, ::getpid());
    wanted.labels[kLabel] = target.project;
    DM_TRY(const auto id, means(during("creating the stand-in", engine_.create(wanted, deadline_))));
    stage.containers.push_back(id);
    DM_CHECK(means(during("starting the stand-in", engine_.start(id, deadline_))));
    target.container = id;
    if (auto ready = driver.await(engine_, target, deadline_.at_most(std::chrono::minutes(10))); !ready) {
      auto error = std::move(ready).error();
      if (deadline_.stopped()) return fail(std::move(error));  // what its log says is our doing
      if (const auto lines = telling(deploy::log_tail(engine_, id, 20, Deadline::in(std::chrono::seconds(20)))); !lines.empty()) error.message += fmt::format("; its log ends with: {}", fmt::join(lines, " / "));
      return means(during("waiting for the stand-in", Result<void>(fail(std::move(error)))));
    }
    const auto then = target;
    target.facts["stand_in"] = "yes";
    // Those whose server comes up with its data cannot be asked yet; their version is that of the image.
    if (auto seen = target; driver.examine(engine_, seen, deadline_)) {
      if (const auto version = seen.facts.find("version"); version != seen.facts.end()) target.facts["version"] = version->second;
    }
    for (const auto* one : saved) {
      ItemResult result;
      result.item = one->item;
      result.bytes = one->bytes;
      if (repository_.lost()) {  // it is not waited for once per stream
        result.outcome = Outcome::could_not_verify;
        result.detail = "not tried: the repository has not answered before";
        report.items.push_back(std::move(result));
        continue;
      }
      const auto started = Clock::now();
      auto restored = bring_back(driver, target, *one);
      result.restore_seconds = since(started);
      if (progress_) progress_({fmt::format("{}/{} restored", one->subject, one->item), one->bytes, one->bytes, result.restore_seconds, true});
      if (!restored) {
        result.outcome = meaning(restored.error());
        result.detail = restored.error().describe();
        if (deadline_.stopped()) return restored;
      }
      report.items.push_back(std::move(result));
    }
    report.recovery_seconds = since(begin);
    // Only now, so that the clock above is that of a recovery.
    for (std::size_t i = 0; i < saved.size(); ++i) {
      auto& result = report.items[i];
      if (!result.detail.empty()) continue;
      const auto started = Clock::now();
      auto print = look_again(engine_, driver, target, item_of(*saved[i]), deadline_);
      result.compare_seconds = since(started);
      if (!print) {
        result.outcome = meaning(print.error());
        result.detail = "reading it again: " + print.error().describe();
        continue;
      }
      const auto lines = backup::differences(saved[i]->fingerprint, *print, driver.comparison(then, target));
      result.outcome = lines.empty() ? Outcome::verified : Outcome::failed;
      result.detail = lines.empty() ? fmt::format("{} rows in {} parts equal", print->rows(), print->parts.size()) : fmt::format("{}", fmt::join(lines, "; "));
    }
    auto checked = driver.check(engine_, target, deadline_);
    if (checked) report.check = *checked;
    else if (checked.error().code == Errc::unsupported) report.check = "none: " + checked.error().message;
    else return fail(std::move(checked).error());
    return {};
  }

  /// Sealed files are opened with the key of this machine into memory, and are gone again at once.
  Result<void> sealed(const backup::Driver& driver, const std::vector<const Saved*>& saved, Report& report) {
    const Saved& one = *saved.front();
    const auto begin = Clock::now();
    auto folder = fmt::format("/dev/shm/datamancy-drill-{}-XXXXXX", ::getpid());
    if (::mkdtemp(folder.data()) == nullptr) return fail(errno_error("make " + folder, errno));
    struct Gone {
      const std::string& path;
      ~Gone() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
      }
    } const gone{folder};
    ItemResult result;
    result.item = one.item;
    result.bytes = one.bytes;
    auto restored = backup::stream_between([&](const Sink& out) { return backup::read_back(repository_, one, out, deadline_); }, [] { return Result<void>(); },
                                           [&](const Source& in) { return driver.restore(engine_, one.target, item_of(one), in, {.name = folder, .replace = true}, deadline_); });
    result.restore_seconds = report.recovery_seconds = since(begin);
    std::size_t wanted = 0, there = 0;
    const auto list = one.target.facts.find("files");
    for (std::string_view rest = list == one.target.facts.end() ? std::string_view() : std::string_view(list->second); !rest.empty();) {
      const auto name = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      ++wanted;
      std::error_code ignored;
      if (std::filesystem::is_regular_file(folder + "/" + std::string(name), ignored)) ++there;
    }
    result.outcome = !restored ? meaning(restored.error()) : there == wanted ? Outcome::verified : Outcome::failed;
    result.detail = !restored ? restored.error().describe() : fmt::format("{} of {} files opened with the key of this machine", there, wanted);
    report.items.push_back(std::move(result));
    report.check = "opened with the key";
    return {};
  }

  /// A tree comes back into a volume that nobody mounts.
  Result<void> tree(const std::vector<const Saved*>& saved, Report& report) {
    Stage stage(engine_);
    const auto begin = Clock::now();
    const Saved& one = *saved.front();
    const auto name = fmt::format("datamancy-drill-{}-{}-{}", one.target.project, ::getpid(), report.items.size());
    DM_TRY(const auto volume, means(engine_.create_volume(name, {{kLabel, one.target.project}}, deadline_)));
    stage.volumes.push_back(name);
    if (::access(volume.mountpoint.c_str(), W_OK | X_OK) != 0) return fail(Errc::unsupported, fmt::format("restoring files needs root on the engine's own machine: {} cannot be written here", volume.mountpoint));
    ItemResult result;
    result.item = one.item;
    result.bytes = one.bytes;
    auto restored = bring_back_tree(one, volume.mountpoint);
    result.restore_seconds = since(begin);
    report.recovery_seconds = result.restore_seconds;
    if (progress_) progress_({fmt::format("{} restored", one.subject), one.bytes, one.bytes, result.restore_seconds, true});
    if (!restored) {
      result.outcome = meaning(restored.error());
      result.detail = restored.error().describe();
      report.items.push_back(std::move(result));
      return {};
    }
    const auto started = Clock::now();
    const auto reader = backup::make_tree_reader();
    backup::TreeNotes notes;
    auto read = backup::pack_tree(volume.mountpoint, {.verbatim = true}, [&](std::string_view piece) { return reader->take(piece); }, notes, deadline_);
    auto print = read ? reader->finish() : Result<backup::Fingerprint>(fail(read.error()));
    result.compare_seconds = since(started);
    if (!print) {
      result.outcome = meaning(print.error());
      result.detail = print.error().describe();
    } else {
      const auto lines = backup::differences(one.fingerprint, *print, backup::Compare::everything);
      result.outcome = lines.empty() ? Outcome::verified : Outcome::failed;
      result.detail = lines.empty() ? fmt::format("{} entries equal", print->rows()) : fmt::format("{}", fmt::join(lines, "; "));
    }
    report.items.push_back(std::move(result));
    DM_TRY(report.check, backup::check_databases(volume.mountpoint, deadline_));
    return {};
  }

 private:
  static backup::Item item_of(const Saved& saved) {
    backup::Item item;
    item.name = saved.item;
    item.file = saved.path.substr(saved.path.rfind('/') + 1);
    return item;
  }

  Result<void> bring_back(const backup::Driver& driver, const backup::Target& target, const Saved& saved) {
    if (saved.snapshot.empty()) return fail(Errc::failed, saved.trouble.empty() ? "it was never saved" : saved.trouble);
    return backup::stream_between([&](const Sink& out) { return backup::read_back(repository_, saved, out, deadline_); }, [] { return Result<void>(); },
                                  [&](const Source& in) { return driver.restore(engine_, target, item_of(saved), in, {.name = {}, .replace = true}, deadline_); });
  }

  Result<void> bring_back_tree(const Saved& saved, const std::string& folder) {
    if (saved.snapshot.empty()) return fail(Errc::failed, saved.trouble.empty() ? "it was never saved" : saved.trouble);
    backup::TreeUnpacker unpacker(folder, "");
    DM_CHECK(backup::read_back(repository_, saved, [&](std::string_view piece) { return unpacker.take(piece); }, deadline_));
    return unpacker.finish();
  }

  engine::Engine& engine_;
  backup::Repository& repository_;
  const backup::OnProgress& progress_;
  const Deadline& deadline_;
};

}  // namespace

Result<std::size_t> clean_up(engine::Engine& engine, const std::string& project, const Deadline& deadline) {
  const auto label = fmt::format("{}={}", kLabel, project);
  std::size_t count = 0;
  DM_TRY(const auto containers, engine.containers({.labels = {label}}, deadline));
  for (const auto& container : containers) {
    DM_CHECK(engine.remove(container.id, /*force=*/true, /*volumes=*/true, deadline));
    ++count;
  }
  DM_TRY(const auto volumes, engine.volumes({label}, deadline));
  for (const auto& volume : volumes) {
    DM_CHECK(remove_volume(engine, volume.name, deadline));
    ++count;
  }
  return count;
}

Report restore(engine::Engine& engine, backup::Repository& repository, const backup::Manifest& manifest, const std::string& subject, const Objectives& objectives,
               const backup::OnProgress& progress, const Deadline& deadline) {
  Report report;
  report.subject = subject;
  report.run = manifest.run;
  std::vector<const Saved*> saved;
  for (const auto& one : manifest.saved)
    if (one.subject == subject) saved.push_back(&one);
  if (saved.empty()) {
    report.detail = "it is not in this backup";
    return report;
  }
  const Saved& first = *saved.front();
  report.kind = first.target.kind;
  report.age = backup::unix_now() - first.at;
  report.binding = {.engine = manifest.engine, .image = first.target.image_id, .config = first.config_hash, .data = first.target.identity};
  const auto* driver = backup::driver_of(report.kind);
  const bool is_tree = report.kind == "tree";
  const auto give = [&](Outcome outcome, std::string detail) {
    report.outcome = outcome;
    report.detail = std::move(detail);
  };
  if (driver == nullptr) {
    give(Outcome::could_not_verify, fmt::format("no driver for {}", report.kind));
    return report;
  }
  if (first.snapshot.empty() && saved.size() == 1) {
    give(Outcome::failed, first.trouble.empty() ? "it was never saved" : first.trouble);
    return report;
  }
  Rehearsal rehearsal(engine, repository, progress, deadline);
  const auto done = report.kind == "sealed" ? rehearsal.sealed(*driver, saved, report) : is_tree ? rehearsal.tree(saved, report) : rehearsal.server(*driver, saved, report);
  if (!done) {
    give(meaning(done.error()), done.error().describe());
    return report;
  }
  for (const auto outcome : {Outcome::failed, Outcome::could_not_verify})
    for (const auto& item : report.items)
      if (item.outcome == outcome) {
        give(outcome, fmt::format("{}: {}", item.item, item.detail));
        return report;
      }
  const auto limit = is_tree ? objectives.volume : objectives.database;
  if (report.recovery_seconds > static_cast<double>(limit)) {
    give(Outcome::failed, fmt::format("it is equal, but came back in {:.0f} s; the objective is {} s", report.recovery_seconds, limit));
  } else if (report.age > objectives.point) {
    give(Outcome::failed, fmt::format("it is equal, but {:.1f} h old; the objective is {:.0f} h", static_cast<double>(report.age) / 3600, static_cast<double>(objectives.point) / 3600));
  } else {
    give(Outcome::verified, fmt::format("{} streams equal, back in {:.1f} s, {:.1f} h old; {}", report.items.size(), report.recovery_seconds, static_cast<double>(report.age) / 3600, report.check));
  }
  return report;
}

}  // namespace dm::drill

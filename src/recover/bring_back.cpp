#include "recover/bring_back.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "backup/inside.hpp"
#include "backup/pipe.hpp"
#include "backup/tree.hpp"
#include "base/files.hpp"
#include "sources/files.hpp"

namespace dm::recover {
namespace {

using backup::Saved;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

backup::Item item_of(const Saved& saved) {
  backup::Item item;
  item.name = saved.item;
  item.file = saved.path.substr(saved.path.rfind('/') + 1);
  return item;
}

Result<void> feed(engine::Engine& engine, backup::Repository& repository, const backup::Driver& driver, const backup::Target& target, const Saved& saved, const Deadline& deadline) {
  return backup::stream_between([&](const Sink& out) { return backup::read_back(repository, saved, out, deadline); }, [] { return Result<void>(); },
                                [&](const Source& in) { return driver.restore(engine, target, item_of(saved), in, {.name = {}, .replace = true}, deadline); });
}

/// What is there now against what was saved.
Result<std::uint64_t> compare(engine::Engine& engine, const backup::Driver& driver, const backup::Target& target, const Saved& saved, const Deadline& deadline) {
  const auto reader = driver.reader(item_of(saved));
  std::vector<std::string> notes;
  DM_CHECK(driver.dump(engine, target, item_of(saved), [&](std::string_view piece) { return reader->take(piece); }, notes, deadline));
  DM_TRY(auto print, reader->finish());
  const auto how = driver.comparison(saved.target, target);
  if (saved.by_account(how)) print = backup::narrowed(std::move(print), saved.fingerprint);
  if (const auto lines = backup::differences(saved.fingerprint, print, how); !lines.empty())
    return fail(Errc::corrupt, fmt::format("{}: what came back is not what was saved: {}", saved.item, lines.front()));
  return print.rows();
}

/// The files of a Valkey where its server looks for them: a snapshot, and, where it writes a log, that log's first part (with
/// appendonly it reads no snapshot). $1 = folder, $2 = yes for the log.
constexpr std::string_view kValkey = R"sh(
set -e
from=/tmp/datamancy-stand-in/dump.rdb
mkdir -p "$1"
cp "$from" "$1/dump.rdb"
rm -rf "$1/appendonlydir"  # a server that begins its log anew appends to what it finds under the same name
if [ "$2" = yes ]; then
  mkdir -p "$1/appendonlydir"
  cp "$from" "$1/appendonlydir/appendonly.aof.1.base.rdb"
  printf 'file appendonly.aof.1.base.rdb seq 1 type b\n' >"$1/appendonlydir/appendonly.aof.manifest"
fi
for user in valkey redis; do
  if id "$user" >/dev/null 2>&1; then chown -R "$user:$user" "$1"; exit 0; fi
done
)sh";

/// The owner of the folders of an OpenLDAP.
constexpr std::string_view kOpenldap = R"sh(
for user in openldap ldap; do
  if id "$user" >/dev/null 2>&1; then chown -R "$user:$user" "$@"; exit 0; fi
done
)sh";

std::string fact(const backup::Target& target, const char* name) {
  const auto found = target.facts.find(name);
  return found == target.facts.end() ? std::string() : found->second;
}

Result<std::string> mountpoint(engine::Engine& engine, const std::string& name, const Deadline& deadline) {
  DM_TRY(const auto volume, engine.volume(name, deadline));
  if (volume.driver != "local" || !volume.options.empty()) return fail(Errc::unsupported, fmt::format("volume {} is not a plain local one ({})", name, volume.driver));
  if (::access(volume.mountpoint.c_str(), R_OK | W_OK | X_OK) != 0)
    return fail(Errc::denied, fmt::format("{} cannot be written here: volumes are filled by root, on the engine's own machine", volume.mountpoint));
  return volume.mountpoint;
}

Result<std::size_t> move_all(const std::string& from, const std::string& to) {
  std::size_t count = 0;
  for (const auto& name : sources::disk().list(from)) {
    if (::rename((from + "/" + name).c_str(), (to + "/" + name).c_str()) != 0) return fail(errno_error(fmt::format("move {}/{}", from, name), errno));
    ++count;
  }
  // A folder that could not be listed to its end looks like a shorter one.
  std::error_code error;
  const bool empty = std::filesystem::is_empty(from, error);
  if (error || !empty) return fail(Errc::failed, fmt::format("{} could not be moved whole: {}", from, error ? error.message() : "something is left in it"));
  struct stat info {};
  if (::stat(from.c_str(), &info) == 0 && (::chown(to.c_str(), info.st_uid, info.st_gid) != 0 || ::chmod(to.c_str(), info.st_mode & 07777U) != 0)) return fail(errno_error("set the owner of " + to, errno));
  return count;
}

/// Until the real server takes commands: images run a first one for their own set-up, under their entrypoint's shell.
Result<void> await_server(engine::Engine& engine, const backup::Driver& driver, backup::Target& target, const Deadline& deadline) {
  if (driver.kind() == "postgres") {
    // An answer may still come from the image's first server, which is about to stop: asked again until the real one answers.
    while (true) {
      DM_CHECK(driver.await(engine, target, deadline));
      const auto seen = driver.examine(engine, target, deadline);
      if (seen || deadline.passed()) return seen;
      if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
  }
  const auto settled_script = std::string(backup::kNoEntrypoint) + "read -r name </proc/1/comm; case $name in sh|bash|dash|ash) exit 1 ;; esac";
  int good = 0;
  while (true) {
    const bool settled = static_cast<bool>(backup::run_inside(engine, target.container, {.name = "looking at process 1", .script = settled_script}, deadline.at_most(std::chrono::seconds(20))));
    auto seen = settled ? driver.examine(engine, target, deadline) : Result<void>(fail(Errc::unavailable, "it still sets itself up"));
    good = seen ? good + 1 : 0;
    if (good >= 2) return {};
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (!seen && deadline.passed()) return seen;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace

Result<Back> tree(backup::Repository& repository, const Saved& saved, const std::string& folder, bool compare, const Deadline& deadline) {
  DM_CHECK(make_folders(folder));
  backup::TreeUnpacker unpacker(folder, "");
  DM_CHECK(backup::read_back(repository, saved, [&](std::string_view piece) { return unpacker.take(piece); }, deadline));
  DM_CHECK(unpacker.finish());
  if (!compare) return Back{fmt::format("{} entries", unpacker.count()), saved.bytes};
  const auto reader = backup::make_tree_reader();
  backup::TreeNotes notes;
  DM_CHECK(backup::pack_tree(folder, {.verbatim = true}, [&](std::string_view piece) { return reader->take(piece); }, notes, deadline));
  DM_TRY(const auto print, reader->finish());
  if (const auto lines = backup::differences(saved.fingerprint, print, backup::Compare::everything); !lines.empty())
    return fail(Errc::corrupt, fmt::format("what came back is not what was saved: {}", lines.front()));
  return Back{fmt::format("{} entries, equal", unpacker.count()), saved.bytes};
}

Result<Back> sealed(engine::Engine& engine, backup::Repository& repository, const Saved& saved, const std::string& folder, const Deadline& deadline) {
  const auto* driver = backup::driver_of("sealed");
  DM_CHECK(make_folders(folder));
  auto target = saved.target;
  DM_CHECK(backup::stream_between([&](const Sink& out) { return backup::read_back(repository, saved, out, deadline); }, [] { return Result<void>(); },
                                  [&](const Source& in) { return driver->restore(engine, target, item_of(saved), in, {.name = folder, .replace = true}, deadline); }));
  const auto files = fact(saved.target, "files");
  return Back{fmt::format("{} files opened with the key", std::ranges::count(files, '\n')), saved.bytes};
}

Result<Back> offline(engine::Engine& engine, backup::Repository& repository, const std::vector<const Saved*>& saved, const std::string& container, const std::string& label,
                     const backup::OnProgress& progress, const Deadline& deadline) {
  const auto& kind = saved.front()->target.kind;
  const auto* driver = backup::driver_of(kind);
  if (driver == nullptr) return fail(Errc::unsupported, fmt::format("no driver for {}", kind));
  DM_TRY(const auto real, engine.container(container, deadline));
  if (real.running) return fail(Errc::conflict, fmt::format("{} runs already: it reads its data when it starts", real.name));
  backup::Target target = saved.front()->target;
  target.facts["stand_in"] = "yes";
  DM_TRY(auto wanted, driver->stand_in(target));
  wanted.image = real.image_id;
  wanted.name = fmt::format("{}-datamancy-fill", real.name);
  wanted.user = "0";
  for (auto mount : real.mounts)
    if (mount.writable && (mount.type == "volume" || mount.type == "bind")) {
      if (mount.type == "volume") mount.source = mount.name;
      wanted.mounts.push_back(std::move(mount));
    }
  const auto cut = label.find('=');
  wanted.labels[label.substr(0, cut)] = cut == std::string::npos ? "" : label.substr(cut + 1);
  DM_TRY(const auto id, during("creating the container that fills the volumes", engine.create(wanted, deadline)));
  struct Gone {
    engine::Engine& engine;
    const std::string& id;
    ~Gone() { (void)engine.remove(id, /*force=*/true, /*volumes=*/false, Deadline::in(std::chrono::minutes(1))); }
  } const gone{engine, id};
  DM_CHECK(engine.start(id, deadline));
  target.container = id;
  std::uint64_t rows = 0, bytes = 0;
  for (const auto* one : saved) {
    const auto begin = Clock::now();
    DM_CHECK(feed(engine, repository, *driver, target, *one, deadline));
    bytes += one->bytes;
    if (progress) progress({fmt::format("{}/{} restored", one->subject, one->item), one->bytes, one->bytes, since(begin), true});
  }
  for (const auto* one : saved) {
    DM_TRY(const auto count, compare(engine, *driver, target, *one, deadline));
    rows += count;
  }
  std::vector<std::string> words;
  if (kind == "valkey") {
    words = {target.data_path.empty() ? "/data" : target.data_path, fact(target, "appendonly")};
    DM_CHECK(backup::run_inside(engine, id, {.name = "placing the snapshot", .script = kValkey, .words = words, .user = "0"}, deadline));
  } else {
    words.push_back(fact(target, "slapd_d"));
    const auto databases = fact(target, "databases");
    for (std::string_view rest = databases; !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      const auto first = line.find('\t'), second = line.find('\t', first + 1);
      if (second != std::string_view::npos) words.emplace_back(line.substr(first + 1, second - first - 1));
    }
    DM_CHECK(backup::run_inside(engine, id, {.name = "setting the owner", .script = kOpenldap, .words = words, .user = "0"}, deadline));
  }
  return Back{fmt::format("{} rows in {} streams, equal", rows, saved.size()), bytes};
}

Result<Back> live(engine::Engine& engine, backup::Repository& repository, const std::vector<const Saved*>& saved, const std::string& container, const backup::OnProgress& progress,
                  const Deadline& deadline) {
  const auto& kind = saved.front()->target.kind;
  const auto* driver = backup::driver_of(kind);
  if (driver == nullptr) return fail(Errc::unsupported, fmt::format("no driver for {}", kind));
  backup::Target target = saved.front()->target;
  target.container = container;
  DM_CHECK(during("waiting for the server", await_server(engine, *driver, target, deadline.at_most(std::chrono::minutes(15)))));
  std::uint64_t rows = 0, bytes = 0;
  std::size_t compared = 0;
  // What a server was kept from doing until the comparison it does again, whichever way we leave.
  struct Rest {
    engine::Engine& engine;
    const backup::Driver& driver;
    const backup::Target& target;
    std::vector<const Saved*> left;
    Rest(engine::Engine& e, const backup::Driver& d, const backup::Target& t) : engine(e), driver(d), target(t) {}
    Rest(const Rest&) = delete;
    Rest& operator=(const Rest&) = delete;
    ~Rest() {
      for (const auto* one : left) (void)driver.compared(engine, target, item_of(*one), {.name = {}, .replace = true}, Deadline::in(std::chrono::minutes(5)));
    }
  } rest(engine, *driver, target);
  for (const auto* one : saved) {
    if (!one->beside()) rest.left.push_back(one);
    const auto begin = Clock::now();
    DM_CHECK(during(fmt::format("restoring {}", one->item), feed(engine, repository, *driver, target, *one, deadline)));
    bytes += one->bytes;
    if (progress) progress({fmt::format("{}/{} restored", one->subject, one->item), one->bytes, one->bytes, since(begin), true});
  }
  for (const auto* one : saved) {
    if (one->beside() && !one->by_account(driver->comparison(one->target, target))) continue;
    const auto count = compare(engine, *driver, target, *one, deadline);
    if (one->beside()) {
      if (!count) return fail(count.error());
      continue;
    }
    std::erase(rest.left, one);
    const auto on = driver->compared(engine, target, item_of(*one), {.name = {}, .replace = true}, Deadline::in(std::chrono::minutes(5)));
    if (!count) return fail(count.error());
    DM_CHECK(on);
    rows += *count;
    ++compared;
  }
  return Back{fmt::format("{} rows in {} databases, equal", rows, compared), bytes};
}

Result<void> make_room(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline) {
  DM_CHECK(mountpoint(engine, volume, deadline));
  DM_CHECK(engine.create_volume(kept, {{"datamancy.kept", volume}}, deadline));
  DM_TRY(const auto to, mountpoint(engine, kept, deadline));
  if (!sources::disk().list(to).empty()) return fail(Errc::conflict, fmt::format("volume {} is not empty", kept));
  return {};
}

Result<std::size_t> set_aside(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline) {
  DM_CHECK(make_room(engine, volume, kept, deadline));
  return set_aside_again(engine, volume, kept, deadline);
}

Result<std::size_t> set_aside_folder(const std::string& folder, const std::string& kept) {
  DM_CHECK(make_folders(kept, 0700));
  return move_all(folder, kept);
}

Result<std::size_t> set_aside_again(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline) {
  DM_CHECK(engine.create_volume(kept, {{"datamancy.kept", volume}}, deadline));  // one that is there is taken
  DM_TRY(const auto from, mountpoint(engine, volume, deadline));
  DM_TRY(const auto to, mountpoint(engine, kept, deadline));
  return move_all(from, to);
}

Result<bool> holds_something(engine::Engine& engine, const std::string& volume, const Deadline& deadline) {
  DM_TRY(const auto place, mountpoint(engine, volume, deadline));
  std::error_code error;
  const bool empty = std::filesystem::is_empty(place, error);
  if (error) return fail(Errc::failed, fmt::format("look into {}: {}", place, error.message()));
  return !empty;
}

Result<void> clear_volume(engine::Engine& engine, const std::string& volume, const Deadline& deadline) {
  DM_TRY(const auto place, mountpoint(engine, volume, deadline));
  for (const auto& name : sources::disk().list(place)) {
    std::error_code error;
    std::filesystem::remove_all(place + "/" + name, error);
    if (error) return fail(Errc::failed, fmt::format("remove {}/{}: {}", place, name, error.message()));
  }
  return {};
}

Result<void> put_back(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline) {
  DM_TRY(const auto to, mountpoint(engine, volume, deadline));
  DM_TRY(const auto from, mountpoint(engine, kept, deadline));
  DM_TRY(const auto count, move_all(from, to));
  (void)count;
  return {};
}

}  // namespace dm::recover

/// restic, 0.17.1 or later: from then on a wrong password and a lock have exit codes of their own.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/fingerprint.hpp"
#include "backup/repository.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "sources/files.hpp"

namespace dm::backup {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kHeld = 16U << 20U;
constexpr std::string_view kLeast = "0.17.1";
constexpr int kLocked = 11;  // its exit status
constexpr std::string_view kHow = "Debian 13 has one (apt-get install restic); on Debian 12 take the release of the project, or: go install github.com/restic/restic/cmd/restic@v0.19.1";

/// Calls `each` for every line that is a JSON object.
template <class F>
void json_lines(std::string_view text, F&& each) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with('{')) continue;
    const auto tree = Json::parse(line, nullptr, false);
    if (tree.is_object()) each(tree);
  }
}

std::string text_of(const Json& tree, const char* key) {
  const auto found = tree.find(key);
  return found != tree.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const Json& tree, const char* key) {
  const auto found = tree.find(key);
  return found != tree.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

/// "2026-11-25T23:05:07.123456789+01:00"
std::int64_t time_of(const std::string& text) {
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return 0;
  if (*rest == '.')
    while (*++rest >= '0' && *rest <= '9') {
    }
  std::int64_t shift = 0;
  int hours = 0, minutes = 0;
  if ((*rest == '+' || *rest == '-') && std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) == 2) shift = (*rest == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
  return static_cast<std::int64_t>(::timegm(&parts)) - shift;
}

/// Its own words, without what may hold a secret: the last error message, else the last line.
std::string words_of(const Finished& finished) {
  std::string message;
  json_lines(finished.err, [&](const Json& line) {
    if (text_of(line, "message_type") == "exit_error") message = text_of(line, "message");
    else if (message.empty() && line.contains("error") && line["error"].is_object()) message = text_of(line["error"], "message");
  });
  if (message.empty()) {
    std::string_view err = finished.err;
    while (err.ends_with('\n')) err.remove_suffix(1);
    message = err.substr(err.rfind('\n') == std::string_view::npos ? 0 : err.rfind('\n') + 1);
  }
  while (message.ends_with('\n')) message.pop_back();
  std::ranges::replace(message, '\n', ' ');
  return message;
}

class Restic final : public Repository {
 public:
  Restic(Location location, std::string cache) : Repository(std::move(location)), cache_(std::move(cache)) {}

  Result<std::string> program(const Deadline& deadline) override {
    if (!version_.empty()) return version_;
    // Starting it only to be told its version costs a small run a tenth of its time: asked once per program.
    const auto seen = cache_ + "/restic.version";
    const auto mark = mark_of_program();
    if (const auto text = mark.empty() ? Result<std::string>(std::string()) : sources::disk().read(seen); text && !text->empty()) {
      const auto cut = text->find('\n');
      if (cut != std::string::npos && text->substr(cut + 1) == mark && text->starts_with("restic ")) return version_ = text->substr(0, cut);
    }
    auto finished = run_process({.argv = {"restic", "version"}}, {}, deadline.at_most(std::chrono::seconds(20)));
    if (!finished) {
      auto error = std::move(finished).error();
      if (error.code == Errc::not_found) {
        error.exit = 10;
        error.message = fmt::format("the program restic is not installed: {}", kHow);
      }
      return fail(std::move(error));
    }
    std::string_view rest = finished->out;
    if (!rest.starts_with("restic ")) return fail(Errc::unsupported, "what is called restic in PATH does not answer like it");
    rest.remove_prefix(7);
    const std::string version(rest.substr(0, rest.find(' ')));
    if (!version_at_least(version, kLeast))
      return fail(Error{Errc::unsupported, fmt::format("restic {} is too old, {} or later is needed: {}", version, kLeast, kHow), {}, 10});
    if (!mark.empty()) (void)write_atomic(seen, fmt::format("restic {}\n{}", version, mark), 0600);  // without it, it is asked again
    return version_ = "restic " + version;
  }

  Result<bool> exists(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    // Opening costs most of a second of CPU (the password's derivation is slow on purpose); in a folder a look is enough, and a wrong
    // password is told by whatever comes next.
    if (location_.url.starts_with('/')) {
      if (::access((location_.url + "/config").c_str(), F_OK) == 0) return true;
      if (errno == ENOENT || errno == ENOTDIR) return false;
      return fail(errno_error("look for a repository at " + location_.url, errno));
    }
    DM_TRY(Finished finished, run({"cat", "config"}, {}, deadline));
    if (finished.fine()) return true;
    if (finished.status == 10) return false;
    return fail(error_of("opening", finished));
  }

  Result<void> create(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    return fine("creating", {"init"}, {}, deadline);
  }

  Result<Stored> store(const StoreRequest& request, const Source& source, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    std::vector<std::string> words{"backup", "--quiet", "--stdin", "--stdin-filename", request.path, "--host", request.host};
    for (const auto& tag : request.tags) words.insert(words.end(), {"--tag", tag});
    // A lock is met before anything is read, but some of it has then been put into the pipe already: kept until more has gone than fits there.
    std::vector<std::string> begun;
    std::size_t held = 0, at = 0;
    bool whole = true;
    Streams streams;
    streams.in = [&]() -> Result<std::string> {
      if (at < begun.size()) return begun[at++];
      DM_TRY(auto piece, source());
      if (whole && (held += piece.size()) > kHeld) {
        whole = false;
        begun.clear();
      }
      if (whole) {
        begun.push_back(piece);
        at = begun.size();
      } else {
        at = 0;
      }
      return piece;
    };
    auto finished = run(words, streams, deadline, [&] { at = 0; return whole; });
    if (!finished) {
      // It got SIGTERM before its input was closed, so it saves nothing. Seen, not believed:
      auto error = std::move(finished).error();
      if (lost()) return fail(std::move(error));  // it was told no end, and nobody answers who could be asked
      if (auto gone = withdraw(request); !gone) error.during.push_back(fmt::format("and what was stored could not be withdrawn ({})", gone.error().message));
      return fail(std::move(error));
    }
    if (!finished->fine()) return fail(error_of("storing", *finished));
    Stored stored;
    json_lines(finished->out, [&](const Json& line) {
      if (text_of(line, "message_type") != "summary") return;
      stored.id = text_of(line, "snapshot_id");
      stored.bytes = number_of(line, "total_bytes_processed");
      stored.added = number_of(line, "data_added_packed");
    });
    if (stored.id.empty()) return fail(Errc::corrupt, "restic ended well but named no snapshot");
    return stored;
  }

  Result<std::vector<Snapshot>> list(const Deadline& deadline) override { return list({}, deadline); }

  Result<void> fetch(const Snapshot& snapshot, const Sink& sink, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    Streams streams;
    streams.out = sink;
    DM_TRY(Finished finished, run({"dump", id_here(snapshot.id), snapshot.path}, streams, deadline));
    if (!finished.fine()) return fail(error_of("reading from", finished));
    return {};
  }

  Result<CheckReport> check(Depth depth, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    std::vector<std::string> words{"check"};
    if (depth == Depth::sample) words.emplace_back("--read-data-subset=5%");
    if (depth == Depth::everything) words.emplace_back("--read-data");
    DM_TRY(Finished finished, run(words, {}, deadline));
    CheckReport report;
    report.read_data = depth == Depth::everything;
    if (finished.fine()) return report;
    if (finished.status != 1) return fail(error_of("checking", finished));
    json_lines(finished.err, [&](const Json& line) {
      const auto message = text_of(line, "message_type") == "error" && line.contains("error") && line["error"].is_object() ? text_of(line["error"], "message") : text_of(line, "message");
      if (!message.empty() && report.troubles.size() < 50) report.troubles.push_back(message);
    });
    if (report.troubles.empty()) report.troubles.push_back(words_of(finished));
    return report;
  }

  Result<void> remove(const std::vector<std::string>& ids, bool prune, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    constexpr std::size_t kAtOnce = 500;
    for (std::size_t at = 0; at < ids.size(); at += kAtOnce) {
      std::vector<std::string> words{"forget"};
      for (std::size_t i = at; i < std::min(at + kAtOnce, ids.size()); ++i) words.push_back(ids[i]);
      DM_CHECK(fine("forgetting in", words, {}, deadline));
    }
    if (prune) return fine("pruning", {"prune"}, {}, deadline);
    return {};
  }

  Result<void> copy(const std::vector<std::string>& ids, Repository& target, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    const Location& other = target.location();
    if (other.kind != "restic") return fail(Errc::unsupported, "restic copies only to restic repositories");
    // The target is the repository in hand for `copy`, we are its source.
    DM_TRY(const Fd secret, memory_file("restic-password", location_.password));
    auto command = command_for({"copy"}, other);
    command.argv.insert(command.argv.end(), {"--from-repo", location_.url, "--from-password-file", "/dev/fd/3"});
    for (const auto& option : location_.options) command.argv.insert(command.argv.end(), {"-o", option});
    command.argv.insert(command.argv.end(), ids.begin(), ids.end());
    command.descriptors[3] = secret.get();
    for (const auto& [name, value] : location_.env) command.env.emplace(name, value);
    const auto stall = std::max(location_.stall, other.stall);
    command.stall = std::chrono::seconds(stall);
    const std::array<const Location*, 2> both{&location_, &other};  // either may keep a lock of ours
    auto copied = run_locking(command, both, {}, deadline);
    if (stood_still(copied, deadline)) return fail(Errc::timeout, fmt::format("copying to repository '{}': {}", other.name, stalled(stall)));
    DM_TRY(const Finished finished, std::move(copied));
    if (!finished.fine()) return fail(error_of("copying to", finished, other.name));
    return {};
  }

  Result<Usage> usage(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    DM_TRY(Finished finished, run({"stats", "--mode", "raw-data"}, {}, deadline));
    if (!finished.fine()) return fail(error_of("measuring", finished));
    Usage out;
    json_lines(finished.out, [&](const Json& line) {
      out.stored = number_of(line, "total_size");
      out.original = number_of(line, "total_uncompressed_size");
      out.snapshots = number_of(line, "snapshots_count");
    });
    return out;
  }

  Result<void> unlock(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    return fine("unlocking", {"unlock"}, {}, deadline);
  }

  Result<void> change_password(const std::string& password, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    DM_TRY(const Fd secret, memory_file("restic-password", password));
    auto command = command_for({"key", "passwd", "--new-password-file", "/dev/fd/3"}, location_);
    command.descriptors[3] = secret.get();
    DM_TRY(Finished finished, run_process(command, {}, deadline));
    if (!finished.fine()) return fail(error_of("changing the password of", finished));
    location_.password = password;
    return {};
  }

 private:
  /// Another one for another program, or another version of it; "" = there is none.
  static std::string mark_of_program() {
    const auto path = find_program("restic");
    struct stat info {};
    if (!path || ::stat(path->c_str(), &info) != 0) return {};
    return fmt::format("{} {} {} {} {} {}.{:09}", *path, info.st_dev, info.st_ino, info.st_size, info.st_ctim.tv_sec, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }

  /// A file that says that a program of ours was killed while it may have held a lock there.
  std::string mark_of_stall(const Location& where) const {
    Hasher hash;
    hash.add(where.url);
    return fmt::format("{}/restic-stalled-{}", cache_, hash.take().hex());
  }

  /// Removes stale locks; false where that is not to be had.
  bool free_lock(const Location& where, const Deadline& deadline) const {
    auto command = command_for({"unlock"}, where);
    command.stall = std::chrono::seconds(where.stall);
    const auto done = run_process(command, {}, deadline);
    if (!done || !done->fine()) return false;
    ::unlink(mark_of_stall(where).c_str());
    return true;
  }

  Command command_for(std::vector<std::string> words, const Location& where) const {
    Command command;
    command.argv = {"restic", "--json", "--cache-dir", cache_};
    // A lock of somebody at work is waited for; one that nobody holds is told by its exit code.
    if (!words.empty() && words[0] != "init" && words[0] != "unlock") command.argv.insert(command.argv.end(), {"--retry-lock", fmt::format("{}s", std::min<std::int64_t>(120, where.stall / 2))});
    if (where.upload_limit > 0) command.argv.insert(command.argv.end(), {"--limit-upload", std::to_string(where.upload_limit)});
    if (where.download_limit > 0) command.argv.insert(command.argv.end(), {"--limit-download", std::to_string(where.download_limit)});
    for (const auto& option : where.options) command.argv.insert(command.argv.end(), {"-o", option});
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    command.env = where.env;
    command.env["RESTIC_REPOSITORY"] = where.url;
    command.env["RESTIC_PASSWORD"] = where.password;
    command.env["RESTIC_PROGRESS_FPS"] = "0.1";
    command.unset = {"RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND", "RESTIC_REPOSITORY_FILE", "RESTIC_FROM_PASSWORD", "RESTIC_FROM_PASSWORD_COMMAND"};
    return command;
  }

  /// Runs what locks the repositories at `where`. A lock that a killed program of ours may have left is removed before, one that is met, once: restic removes
  /// none that somebody holds. `again` says whether the input can be given once more.
  Result<Finished> run_locking(const Command& command, std::span<const Location* const> where, const Streams& streams, const Deadline& deadline, const std::function<bool()>& again = [] { return true; }) const {
    for (const auto* one : where)
      if (::access(mark_of_stall(*one).c_str(), F_OK) == 0) free_lock(*one, deadline);
    auto done = run_process(command, streams, deadline);
    if (done && done->status == kLocked && again() && std::ranges::all_of(where, [&](const Location* one) { return free_lock(*one, deadline); })) done = run_process(command, streams, deadline);
    if (stood_still(done, deadline))
      for (const auto* one : where) (void)write_atomic(mark_of_stall(*one), "", 0600);  // without it, the lock is met and freed then
    return done;
  }

  Result<Finished> run(const std::vector<std::string>& words, const Streams& streams, const Deadline& deadline, const std::function<bool()>& again = [] { return true; }) const {
    if (lost()) return fail(give_up());
    auto command = command_for(words, location_);
    command.stall = std::chrono::seconds(location_.stall);
    command.give_up = given_up_.get_token();
    const std::array<const Location*, 1> here{&location_};
    auto done = words[0] == "unlock" ? run_process(command, streams, deadline) : run_locking(command, here, streams, deadline, again);
    if (!stood_still(done, deadline)) return done;
    return fail(give_up());
  }

  Result<void> fine(std::string_view doing, const std::vector<std::string>& words, const Streams& streams, const Deadline& deadline) const {
    DM_TRY(Finished finished, run(words, streams, deadline));
    if (!finished.fine()) return fail(error_of(doing, finished));
    return {};
  }

  Error error_of(std::string_view doing, const Finished& finished, std::string_view name = {}) const {
    const auto where = fmt::format("{} repository '{}'", doing, name.empty() ? std::string_view(location_.name) : name);
    switch (finished.status) {
      case 10: return {Errc::not_found, fmt::format("{}: there is none at {}", where, location_.url), {}};
      case kLocked: return {Errc::conflict, fmt::format("{}: it is locked; where nobody works on it, 'datamancy backup unlock' removes the lock", where), {}};
      case 12: return {Errc::denied, fmt::format("{}: wrong password", where), {}};
      default: return {Errc::failed, fmt::format("{}: restic ended with status {}: {}", where, finished.status, words_of(finished)), {}};
    }
  }

  Result<std::vector<Snapshot>> list(const std::vector<std::string>& more, const Deadline& deadline) {
    DM_CHECK(program(deadline));
    std::vector<std::string> words{"snapshots"};
    words.insert(words.end(), more.begin(), more.end());
    DM_TRY(Finished finished, run(words, {}, deadline));
    if (!finished.fine()) return fail(error_of("listing", finished));
    std::vector<Snapshot> out;
    const auto tree = Json::parse(finished.out, nullptr, false);
    if (!tree.is_array()) return fail(Errc::corrupt, "restic's list of snapshots cannot be read");
    for (const auto& item : tree) {
      Snapshot snapshot;
      snapshot.id = text_of(item, "id");
      snapshot.original = text_of(item, "original");
      snapshot.time = time_of(text_of(item, "time"));
      snapshot.host = text_of(item, "hostname");
      if (const auto paths = item.find("paths"); paths != item.end() && paths->is_array() && !paths->empty() && paths->front().is_string()) snapshot.path = paths->front().get<std::string>();
      if (const auto tags = item.find("tags"); tags != item.end() && tags->is_array())
        for (const auto& tag : *tags)
          if (tag.is_string()) snapshot.tags.push_back(tag.get<std::string>());
      if (const auto summary = item.find("summary"); summary != item.end() && summary->is_object()) snapshot.bytes = number_of(*summary, "total_bytes_processed");
      out.push_back(std::move(snapshot));
    }
    const std::lock_guard lock(mutex_);
    for (const auto& snapshot : out)
      if (!snapshot.original.empty()) copies_[snapshot.original] = snapshot.id;
    for (const auto& snapshot : out) copies_.erase(snapshot.id);
    return out;
  }

  /// A copied snapshot has an id of its own; manifests name the one that it was copied from.
  std::string id_here(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto found = copies_.find(id);
    return found == copies_.end() ? id : found->second;
  }

  /// After a store that failed: whatever carries exactly its tags and path goes, so that nothing looks whole.
  Result<void> withdraw(const StoreRequest& request) {
    const auto deadline = Deadline::in(std::chrono::minutes(3));
    std::vector<std::string> more;
    std::string tags;
    for (const auto& tag : request.tags) tags += (tags.empty() ? "" : ",") + tag;
    if (!tags.empty()) more = {"--tag", tags};
    DM_TRY(const auto left, list(more, deadline));
    std::vector<std::string> ids;
    for (const auto& snapshot : left)
      if (snapshot.path == request.path && snapshot.host == request.host) ids.push_back(snapshot.id);
    if (ids.empty()) return {};
    return remove(ids, false, deadline);
  }

  std::string cache_;
  std::string version_;
  std::mutex mutex_;
  std::map<std::string, std::string> copies_;  ///< id here by the id that it was copied from, as last listed
};

}  // namespace

std::unique_ptr<Repository> make_restic(Location location, const std::string& cache) { return std::make_unique<Restic>(std::move(location), cache); }

}  // namespace dm::backup

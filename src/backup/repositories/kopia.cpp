/// Kopia, 0.21 or later. It cannot see that its input failed: a stream that is cut is saved as if it were whole. So what it saved is
/// deleted again wherever our side did not see the stream's end, and its own mark of an incomplete snapshot is looked at too.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "backup/repository.hpp"
#include "base/files.hpp"
#include "base/process.hpp"

namespace dm::backup {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kLeast = "0.21.0";
constexpr std::string_view kHow = "take a package of the project (kopia.io), or: go install github.com/kopia/kopia@latest";

std::string text_of(const Json& tree, const char* key) {
  const auto found = tree.find(key);
  return found != tree.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string last_line(std::string_view err) {
  while (err.ends_with('\n')) err.remove_suffix(1);
  return std::string(err.substr(err.rfind('\n') == std::string_view::npos ? 0 : err.rfind('\n') + 1));
}

std::int64_t time_of(const std::string& text) {
  std::tm parts{};
  return ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr ? 0 : static_cast<std::int64_t>(::timegm(&parts));
}

class Kopia final : public Repository {
 public:
  Kopia(Location location, std::string cache) : Repository(std::move(location)), cache_(std::move(cache)) {}

  Result<std::string> program(const Deadline& deadline) override {
    if (!version_.empty()) return version_;
    auto finished = run_process({.argv = {"kopia", "--version"}}, {}, deadline.at_most(std::chrono::seconds(20)));
    if (!finished) {
      auto error = std::move(finished).error();
      if (error.code == Errc::not_found) {
        error.exit = 10;
        error.message = fmt::format("the program kopia is not installed: {}", kHow);
      }
      return fail(std::move(error));
    }
    const auto version = finished->out.substr(0, finished->out.find_first_of(" \n"));
    if (!version_at_least(version, kLeast)) return fail(Error{Errc::unsupported, fmt::format("kopia {} is too old, {} or later is needed: {}", version, kLeast, kHow), {}, 10});
    return version_ = "kopia " + version;
  }

  Result<bool> exists(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    DM_TRY(const Finished finished, run(place("connect"), {}, deadline));
    if (finished.fine()) return true;
    if (finished.err.find("repository not initialized") != std::string::npos || finished.err.find("no such file") != std::string::npos) return false;
    if (finished.err.find("invalid repository password") != std::string::npos) return fail(Errc::denied, fmt::format("opening repository '{}': wrong password", location_.name));
    return fail(Errc::failed, fmt::format("opening repository '{}': {}", location_.name, last_line(finished.err)));
  }

  Result<void> create(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    DM_CHECK(fine("creating", place("create"), deadline));
    // Before the first snapshot: Kopia's own retention would act after each one, and ours decides.
    return fine("setting the policy of", {"policy", "set", "--global", "--keep-latest=100000", "--keep-hourly=0", "--keep-daily=0", "--keep-weekly=0", "--keep-monthly=0", "--keep-annual=0", "--compression=zstd-fastest"}, deadline);
  }

  Result<Stored> store(const StoreRequest& request, const Source& source, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    const auto cut = request.path.rfind('/');
    std::vector<std::string> words{"snapshot", "create", request.path.substr(0, cut), "--stdin-file=" + request.path.substr(cut + 1), fmt::format("--override-source=datamancy@{}:{}", request.host, request.path), "--json"};
    for (const auto& tag : request.tags) {
      const auto equals = tag.find('=');
      words.push_back(equals == std::string::npos ? fmt::format("--tags={}:yes", tag) : fmt::format("--tags={}:{}", tag.substr(0, equals), tag.substr(equals + 1)));
    }
    Stored stored;
    bool whole = false;
    Streams streams;
    streams.in = [&]() -> Result<std::string> {
      auto piece = source();
      if (piece) {
        whole = piece->empty();
        stored.bytes += piece->size();
      }
      return piece;
    };
    auto finished = run(words, streams, deadline);
    if (!finished || !finished->fine() || !whole) {
      auto error = finished ? Error{Errc::failed, fmt::format("storing in repository '{}': {}", location_.name, last_line(finished->err)), {}} : std::move(finished).error();
      if (auto gone = withdraw(request); !gone) error.during.push_back(fmt::format("and what was stored could not be withdrawn ({})", gone.error().message));
      return fail(std::move(error));
    }
    const auto tree = Json::parse(finished->out, nullptr, false);
    const auto root = tree.is_object() ? tree.value("rootEntry", Json::object()) : Json::object();
    const auto summary = root.value("summ", Json::object());
    stored.id = tree.is_object() ? text_of(tree, "id") : "";
    if (stored.id.empty() || !text_of(tree, "incomplete").empty() || summary.value("numFailed", 0) > 0 || summary.value("size", std::uint64_t{0}) != stored.bytes) {
      (void)withdraw(request);
      return fail(Errc::corrupt, fmt::format("kopia did not store the whole stream in repository '{}'", location_.name));
    }
    return stored;
  }

  Result<std::vector<Snapshot>> list(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    DM_TRY(const Finished finished, run({"snapshot", "list", "--all", "--json"}, {}, deadline));
    if (!finished.fine()) return fail(Errc::failed, fmt::format("listing repository '{}': {}", location_.name, last_line(finished.err)));
    const auto tree = Json::parse(finished.out, nullptr, false);
    if (!tree.is_array()) return fail(Errc::corrupt, "kopia's list of snapshots cannot be read");
    std::vector<Snapshot> out;
    for (const auto& item : tree) {
      if (!text_of(item, "incomplete").empty()) continue;
      const auto source = item.value("source", Json::object());
      Snapshot snapshot;
      snapshot.id = text_of(item, "id");
      snapshot.time = time_of(text_of(item, "startTime"));
      snapshot.host = text_of(source, "host");
      snapshot.path = text_of(source, "path");
      const auto root = item.value("rootEntry", Json::object());
      snapshot.bytes = root.value("summ", Json::object()).value("size", std::uint64_t{0});
      const auto tags = item.value("tags", Json::object());  // by name: the loop would outlive a temporary
      for (const auto& [key, value] : tags.items()) {
        const auto name = key.starts_with("tag:") ? key.substr(4) : key;
        const auto content = value.is_string() ? value.get<std::string>() : std::string();
        snapshot.tags.push_back(content == "yes" ? name : name + "=" + content);
      }
      out.push_back(std::move(snapshot));
    }
    return out;
  }

  Result<void> fetch(const Snapshot& snapshot, const Sink& sink, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    DM_TRY(const Finished shown, run({"manifest", "show", snapshot.id}, {}, deadline));
    const auto begin = shown.out.find('{');
    const auto tree = begin == std::string::npos ? Json() : Json::parse(shown.out.substr(begin), nullptr, false);
    const auto object = tree.is_object() ? text_of(tree.value("rootEntry", Json::object()), "obj") : std::string();
    if (!shown.fine() || object.empty()) return fail(Errc::not_found, fmt::format("repository '{}' has no snapshot {}", location_.name, snapshot.id));
    Streams streams;
    streams.out = sink;
    DM_TRY(const Finished finished, run({"show", object + "/" + snapshot.path.substr(snapshot.path.rfind('/') + 1)}, streams, deadline));
    if (!finished.fine()) return fail(Errc::failed, fmt::format("reading from repository '{}': {}", location_.name, last_line(finished.err)));
    return {};
  }

  Result<CheckReport> check(Depth depth, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    // Without a percentage no data is read at all.
    const int percent = depth == Depth::everything ? 100 : depth == Depth::sample ? 5 : 0;
    DM_TRY(const Finished finished, run({"snapshot", "verify", fmt::format("--verify-files-percent={}", percent), "--max-errors=0"}, {}, deadline));
    CheckReport report;
    report.read_data = percent == 100;
    if (!finished.fine()) report.troubles.push_back(last_line(finished.err));
    return report;
  }

  Result<void> remove(const std::vector<std::string>& ids, bool prune, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    for (const auto& id : ids) DM_CHECK(fine("forgetting in", {"snapshot", "delete", id, "--delete"}, deadline));
    if (prune) return fine("pruning", {"maintenance", "run", "--full"}, deadline);
    return {};
  }

  Result<void> copy(const std::vector<std::string>&, Repository& target, const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    const Location& other = target.location();
    if (other.kind != "kopia" || !other.url.starts_with('/')) return fail(Errc::unsupported, "kopia copies to file systems only here; let the second repository take backups of its own");
    return fine("copying", {"repository", "sync-to", "filesystem", "--path", other.url}, deadline);
  }

  Result<Usage> usage(const Deadline& deadline) override {
    DM_CHECK(program(deadline));
    DM_TRY(const Finished finished, run({"blob", "stats", "--raw"}, {}, deadline));
    Usage out;
    if (const auto at = finished.out.find("Total:"); at != std::string::npos) out.stored = std::strtoull(finished.out.c_str() + at + 6, nullptr, 10);
    DM_TRY(const auto snapshots, list(deadline));
    out.snapshots = snapshots.size();
    return out;
  }

  Result<void> unlock(const Deadline&) override { return {}; }  // it has no locks

  Result<void> change_password(const std::string&, const Deadline&) override {
    return fail(Errc::unsupported, "kopia takes a new password on a terminal only: kopia repository change-password");
  }

 private:
  /// "repository connect filesystem --path ...": path, "s3:BUCKET[/PREFIX]", "sftp:USER@HOST:/PATH".
  std::vector<std::string> place(const char* verb) const {
    std::vector<std::string> out{"repository", verb};
    const auto& url = location_.url;
    if (url.starts_with("s3:")) {
      const auto rest = url.substr(3);
      const auto cut = rest.find('/');
      out.insert(out.end(), {"s3", "--bucket", rest.substr(0, cut)});
      if (cut != std::string::npos) out.insert(out.end(), {"--prefix", rest.substr(cut + 1) + "/"});
    } else if (url.starts_with("sftp:")) {
      const auto at = url.find('@'), colon = url.find(':', 5);
      out.insert(out.end(), {"sftp", "--username", url.substr(5, at - 5), "--host", url.substr(at + 1, colon - at - 1), "--path", url.substr(colon + 1)});
    } else {
      out.insert(out.end(), {"filesystem", "--path", url});
    }
    out.insert(out.end(), location_.options.begin(), location_.options.end());
    // Containers have changing names; the repository must not see them.
    out.insert(out.end(), {"--override-hostname", "datamancy", "--override-username", "datamancy"});
    return out;
  }

  Result<Finished> run(std::vector<std::string> words, const Streams& streams, const Deadline& deadline) const {
    if (lost()) return fail(give_up());
    Command command;
    command.argv = {"kopia", "--no-progress"};
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    command.env = location_.env;
    command.env["KOPIA_PASSWORD"] = location_.password;
    // One of each per repository: Kopia keeps the repository's format, the keys with it, in its cache.
    const auto own = fmt::format("{}/kopia-{}", cache_, std::hash<std::string>()(location_.url));
    command.env["KOPIA_CONFIG_PATH"] = own + ".config";
    command.env["KOPIA_CACHE_DIRECTORY"] = own;
    command.env["KOPIA_LOG_DIR"] = cache_ + "/kopia-log";
    command.env["KOPIA_CHECK_FOR_UPDATES"] = "false";
    command.env["KOPIA_PERSIST_CREDENTIALS_ON_CONNECT"] = "false";
    command.stall = std::chrono::seconds(location_.stall);
    command.give_up = given_up_.get_token();
    auto done = run_process(command, streams, deadline);
    if (!stood_still(done, deadline)) return done;
    return fail(give_up());
  }

  Result<void> fine(std::string_view doing, std::vector<std::string> words, const Deadline& deadline) const {
    DM_TRY(const Finished finished, run(std::move(words), {}, deadline));
    if (!finished.fine()) return fail(Errc::failed, fmt::format("{} repository '{}': {}", doing, location_.name, last_line(finished.err)));
    return {};
  }

  Result<void> withdraw(const StoreRequest& request) {
    const auto deadline = Deadline::in(std::chrono::minutes(3));
    const auto run = std::ranges::find_if(request.tags, [](const std::string& tag) { return tag.starts_with("run="); });
    if (run == request.tags.end()) return fail(Errc::invalid_input, "it has no run");
    DM_TRY(const Finished finished, this->run({"snapshot", "list", "--all", "--incomplete", "--json", "--tags=run:" + run->substr(4)}, {}, deadline));
    const auto tree = Json::parse(finished.out, nullptr, false);
    if (!tree.is_array()) return fail(Errc::corrupt, "kopia's list of snapshots cannot be read");
    for (const auto& item : tree)
      if (text_of(item.value("source", Json::object()), "path") == request.path) DM_CHECK(fine("withdrawing from", {"snapshot", "delete", text_of(item, "id"), "--delete"}, deadline));
    return {};
  }

  std::string cache_;
  std::string version_;
};

}  // namespace

std::unique_ptr<Repository> make_kopia(Location location, const std::string& cache) { return std::make_unique<Kopia>(std::move(location), cache); }

}  // namespace dm::backup

#include "secrets/git_repository.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

#include "secrets/secret_string.hpp"
#include "sources/files.hpp"

namespace dm::secrets {
namespace {

constexpr std::size_t kArguments = 1000;  // of objects in one call

/// A repository may be somebody else's: its configuration names programs (monitors, hooks, pagers) and places to fetch from.
Command git(const std::string& folder, std::vector<std::string> words) {
  std::vector<std::string> argv{"git", "--no-pager", "--no-replace-objects"};
  for (const auto* setting : {"core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never", "log.showSignature=false"}) argv.insert(argv.end(), {"-c", setting});
  argv.insert(argv.end(), {"-C", folder});
  std::ranges::move(words, std::back_inserter(argv));
  return {std::move(argv), {{"LC_ALL", "C"}, {"GIT_TERMINAL_PROMPT", "0"}, {"GIT_OPTIONAL_LOCKS", "0"}, {"GIT_NO_LAZY_FETCH", "1"}},
          {"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_EXTERNAL_DIFF", "GIT_TRACE"}};
}

std::string words_of(const Finished& done) {
  auto text = done.err;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text.size() > 400 ? text.substr(0, 400) + "..." : text;
}

/// Exit 0, or (`also`) another status that is an answer.
Result<Finished> run_git(const GitRepository& repository, std::vector<std::string> words, const Streams& streams, const Deadline& deadline, int also = 0) {
  const auto name = words.front();
  DM_TRY(auto done, during("reading git history", run_process(git(repository.top, std::move(words)), streams, deadline)));
  if (!done.fine() && done.status != also)
    return fail(Errc::failed, fmt::format("git cannot read '{}' (git {}, exit {}: {}); 'git -C {} fsck' says what is broken", repository.top, name, done.status, words_of(done), repository.top));
  return done;
}

/// Pieces of a stream up to `mark`, whatever pieces it comes in.
class Pieces {
 public:
  Pieces(char mark, std::function<Result<void>(std::string_view)> take) : mark_(mark), take_(std::move(take)) {}
  Result<void> feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto end = bytes.find(mark_);
      if (end == std::string_view::npos) {
        rest_ += bytes;
        return {};
      }
      if (rest_.empty()) {
        DM_CHECK(take_(bytes.substr(0, end)));
      } else {
        rest_ += bytes.substr(0, end);
        DM_CHECK(take_(rest_));
        rest_.clear();
      }
      bytes.remove_prefix(end + 1);
    }
    return {};
  }
  Sink sink() {
    return [this](std::string_view bytes) { return feed(bytes); };
  }

 private:
  char mark_;
  std::function<Result<void>(std::string_view)> take_;
  std::string rest_;
};

/// One line each.
template <class Range, class Line>
Source lines(const Range& range, Line line) {
  return [&range, line, at = std::size_t{0}]() mutable -> Result<std::string> {
    std::string out;
    for (; at < range.size() && out.size() < 60'000; ++at) out += line(range[at]) + "\n";
    return out;
  };
}

Source lines_of(const GitRange& range) {
  return [&range, at = std::size_t{0}]() mutable -> Result<std::string> {
    std::string out;
    for (; at < range.tips.size() + range.known.size() && out.size() < 60'000; ++at)
      out += at < range.tips.size() ? range.tips[at] + "\n" : "^" + range.known[at - range.tips.size()] + "\n";
    return out;
  };
}

struct Head {
  std::string_view id, kind, path;
  std::size_t size = 0;
};
/// "ID KIND SIZE PATH", as asked for; nothing for "ID missing".
std::optional<Head> head_of(std::string_view line) {
  Head out;
  const auto next = [&] {
    const auto end = std::min(line.find(' '), line.size());
    const auto word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
  };
  out.id = next();
  out.kind = next();
  const auto size = next();
  out.path = line;
  if (std::from_chars(size.data(), size.data() + size.size(), out.size).ec != std::errc{}) return std::nullopt;
  return out;
}
constexpr std::string_view kHead = "%(objectname) %(objecttype) %(objectsize) %(rest)";

/// Parses the stream of `git cat-file --batch`: a head, so many bytes, a line end.
class Batch {
 public:
  using Take = std::function<void(const GitObject&, std::string_view bytes)>;
  explicit Batch(Take take) : take_(std::move(take)) {}
  Result<void> feed(std::string_view bytes) {
    buffer_ += bytes;
    std::size_t at = 0;
    for (;;) {
      const auto end = buffer_.find('\n', at);
      if (end == std::string::npos) break;
      const auto line = std::string_view(buffer_).substr(at, end - at);
      const auto head = head_of(line);
      if (!head) {
        if (!line.ends_with(" missing")) return fail(Errc::failed, "git cat-file said something unexpected");
        ++missing;
        at = end + 1;
        continue;
      }
      if (buffer_.size() < end + 1 + head->size + 1) break;
      take_({std::string(head->id), std::string(head->path)}, std::string_view(buffer_).substr(end + 1, head->size));
      at = end + 1 + head->size + 1;
    }
    buffer_.erase(0, at);
    return {};
  }
  std::size_t missing = 0;

 private:
  Take take_;
  std::string buffer_;
};

}  // namespace

Result<GitRepository> find_git_repository(const std::string& folder, const Deadline& deadline) {
  if (!find_program("git")) return fail_as(kProgramMissing, Errc::not_found, "'git' is needed for --history and is not on PATH: install it");
  DM_TRY(const auto done, run_process(git(folder, {"rev-parse", "--show-toplevel", "--git-common-dir", "--git-path", "shallow", "--git-path", "info/grafts"}), {}, deadline.at_most(std::chrono::seconds(30))));
  if (!done.fine()) {
    const auto says = [&](std::string_view words) { return done.err.find(words) != std::string::npos; };
    if (says("dubious ownership"))
      return fail(Errc::denied, fmt::format("git does not read '{}', which belongs to another user; where you trust it: git config --global --add safe.directory {}", folder, folder));
    if (says("must be run in a work tree")) return fail(Errc::not_found, fmt::format("'{}' is a git repository without a work tree: name a clone of it", folder));
    if (says("not a git repository"))
      return fail(Errc::not_found, fmt::format("'{}' lies in no git work tree, so that there is no history: leave --history out, or name the folder of the clone", folder));
    return fail(Errc::failed, fmt::format("git cannot read the repository of '{}': {}", folder, words_of(done)));
  }
  std::vector<std::string> said;
  Pieces pieces('\n', [&](std::string_view line) -> Result<void> {
    said.push_back(sources::clean_path(line, folder));
    return {};
  });
  DM_CHECK(pieces.feed(done.out));
  if (said.size() != 4) return fail(Errc::failed, fmt::format("git rev-parse said something unexpected of '{}'", folder));
  GitRepository out{said[0], sources::disk().canonical(said[1])};
  for (const auto& path : {said[2], said[3]})
    if (const auto text = sources::disk().read(path)) out.cut += *text + "\n";
  out.shallow = sources::disk().stat(said[2]).kind == sources::Kind::regular;
  out.submodules = sources::disk().stat(out.top + "/.gitmodules").kind == sources::Kind::regular;
  return out;
}

Result<GitTips> git_tips(const GitRepository& repository, const Deadline& deadline) {
  GitTips out;
  Pieces refs('\n', [&](std::string_view line) -> Result<void> {  // "ID KIND NAME", and behind a tag what it stands on
    const auto first = line.find(' ');
    const auto second = line.find(' ', first + 1);
    if (first == 0 || second == std::string_view::npos) return {};
    out.ids.emplace_back(line.substr(0, first));
    if (line.substr(first + 1, second - first - 1) == "blob") out.files.push_back({out.ids.back(), std::string(line.substr(second + 1))});
    return {};
  });
  Pieces commits('\n', [&](std::string_view line) -> Result<void> {
    if (!line.empty()) out.ids.emplace_back(line);
    return {};
  });
  DM_CHECK(run_git(repository, {"for-each-ref", "--format=%(objectname) %(objecttype) %(refname:lstrip=2)%0a%(*objectname) %(*objecttype) %(refname:lstrip=2)"}, {.out = refs.sink()}, deadline));
  DM_CHECK(run_git(repository, {"rev-list", "--no-walk", "--all", "--reflog"}, {.out = commits.sink()}, deadline));
  std::ranges::sort(out.ids);
  out.ids.erase(std::unique(out.ids.begin(), out.ids.end()), out.ids.end());
  return out;
}

Result<TipsThen> compare_tips(const GitRepository& repository, const std::vector<std::string>& then, const std::vector<std::string>& now, const Deadline& deadline) {
  TipsThen out;
  GitRange gone;
  std::ranges::set_intersection(then, now, std::back_inserter(out.here));
  std::ranges::set_difference(then, now, std::back_inserter(gone.tips));
  gone.known = now;
  out.reached = true;
  if (gone.tips.empty()) return out;
  std::vector<std::string> commits;
  Pieces pieces('\n', [&](std::string_view line) -> Result<void> {
    const auto head = head_of(line);
    if (head) out.here.emplace_back(head->id);
    if (head && (head->kind == "commit" || head->kind == "tag")) commits.emplace_back(head->id);
    else out.reached = false;
    return {};
  });
  DM_CHECK(run_git(repository, {"cat-file", fmt::format("--batch-check={}", kHead)}, {.in = lines(gone.tips, [](const std::string& id) { return id; }), .out = pieces.sink()}, deadline));
  if (!out.reached) return out;
  DM_TRY(const auto beyond, run_git(repository, {"rev-list", "--max-count=1", "--stdin"}, {.in = lines_of(gone)}, deadline));
  out.reached = beyond.out.empty();
  return out;
}

Result<std::size_t> list_objects(const GitRepository& repository, const GitRange& range, const std::function<Result<void>(GitObject)>& take, const Deadline& deadline) {
  std::size_t missing = 0;
  if (range.tips.empty()) return missing;
  Pieces pieces('\n', [&](std::string_view line) -> Result<void> {
    if (line.starts_with('?')) ++missing;
    const auto cut = line.find(' ');
    if (cut == std::string_view::npos || cut + 1 == line.size()) return {};  // a commit, or a root folder
    return take({std::string(line.substr(0, cut)), std::string(line.substr(cut + 1))});
  });
  DM_CHECK(run_git(repository, {"rev-list", "--objects", "--missing=print", "--stdin"}, {.in = lines_of(range), .out = pieces.sink()}, deadline));
  return missing;
}

Result<std::size_t> read_objects(const GitRepository& repository, const std::vector<GitObject>& objects, std::size_t limit,
                                 const std::function<void(const GitObject&, std::string_view)>& take, const Deadline& deadline) {
  const auto line = [](const GitObject& object) { return object.id + " " + object.path; };
  // Kinds and sizes first, so that no picture is read.
  std::vector<GitObject> wanted;
  std::size_t missing = 0;
  Pieces pieces('\n', [&](std::string_view text) -> Result<void> {
    const auto head = head_of(text);
    if (!head) ++missing;
    else if (head->kind == "blob" && head->size > 0 && head->size <= limit) wanted.push_back({std::string(head->id), std::string(head->path)});
    return {};
  });
  if (objects.empty()) return missing;
  DM_CHECK(run_git(repository, {"cat-file", fmt::format("--batch-check={}", kHead)}, {.in = lines(objects, line), .out = pieces.sink()}, deadline));
  if (wanted.empty()) return missing;
  Batch batch(take);
  DM_CHECK(run_git(repository, {"cat-file", fmt::format("--batch={}", kHead)}, {.in = lines(wanted, line), .out = [&](std::string_view bytes) { return batch.feed(bytes); }}, deadline));
  return missing + batch.missing;
}

Result<void> list_changes(const GitRepository& repository, const GitRange& range, const std::vector<std::string>& objects, const std::function<void(GitChange)>& take, const Deadline& deadline) {
  if (range.tips.empty()) return {};
  for (std::size_t from = 0; from < objects.size(); from += kArguments) {
    std::vector<std::string> words{"log",        "-z",          "-c",         "--raw",  "--root", "--no-renames", "--no-abbrev", "--no-color", "--no-ext-diff", "--no-textconv",
                                   "--no-notes", "--no-mailmap", "-O/dev/null", "--format=%x01%H %as", "--stdin"};
    for (auto i = from; i < std::min(objects.size(), from + kArguments); ++i) words.push_back("--find-object=" + objects[i]);
    GitChange change;
    bool path_next = false;
    // \1COMMIT DATE NUL, then for each file :MODES IDS KIND NUL PATH NUL; a merge has one colon and one old id a parent.
    Pieces pieces('\0', [&](std::string_view piece) -> Result<void> {
      if (path_next) {
        path_next = false;
        change.path = piece;
        take(change);
        return {};
      }
      while (piece.starts_with('\n')) piece.remove_prefix(1);
      if (piece.starts_with('\1')) {
        const auto cut = piece.find(' ');
        change.commit = piece.substr(1, cut - 1);
        change.date = cut == std::string_view::npos ? std::string_view() : piece.substr(cut + 1);
      } else if (piece.starts_with(':')) {
        const auto kind = piece.rfind(' ');
        const auto id = kind == std::string_view::npos ? kind : piece.rfind(' ', kind - 1);
        if (id == std::string_view::npos) return fail(Errc::failed, "git log said something unexpected");
        change.object = piece.substr(id + 1, kind - id - 1);
        path_next = true;
      }
      return {};
    });
    DM_CHECK(run_git(repository, std::move(words), {.in = lines_of(range), .out = pieces.sink()}, deadline));
  }
  return {};
}

Result<void> list_files(const GitRepository& repository, bool others, const std::function<void(std::string_view)>& take, const Deadline& deadline) {
  Pieces pieces('\0', [&](std::string_view path) -> Result<void> {
    take(path);
    return {};
  });
  std::vector<std::string> words{"ls-files", "-z"};
  if (others) words.insert(words.end(), {"--others", "--exclude-standard"});
  DM_CHECK(run_git(repository, std::move(words), {.out = pieces.sink()}, deadline));
  return {};
}

Result<std::vector<std::string>> files_with(const GitRepository& repository, std::string_view words, const Deadline& deadline) {
  std::vector<std::string> out;
  Pieces pieces('\0', [&](std::string_view path) -> Result<void> {
    out.emplace_back(path);
    return {};
  });
  DM_CHECK(run_git(repository, {"grep", "--no-color", "--no-textconv", "--no-recurse-submodules", "--full-name", "-l", "-z", "-F", "-e", std::string(words)}, {.out = pieces.sink()}, deadline, 1));
  return out;
}

}  // namespace dm::secrets

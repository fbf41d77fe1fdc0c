#include "secrets/scan_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "base/process.hpp"
#include "secrets/crypto.hpp"
#include "secrets/sealed.hpp"
#include "sources/files.hpp"

namespace dm::secrets {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFile = 4U << 20U;

void add_all(std::vector<Leak>& to, std::vector<Leak> more) {
  for (auto& leak : more) to.push_back(std::move(leak));
}

/// `scan_file` and `scan_for`, where the second says more than the first about the same line.
std::vector<Leak> scan_both(std::string_view path, std::string_view text, const SealedValues& sealed) {
  auto open = scan_for(path, text, sealed);
  auto found = scan_file(path, text);
  std::erase_if(found, [&](const Leak& leak) { return std::ranges::any_of(open, [&](const Leak& one) { return one.line == leak.line && one.value == leak.value; }); });
  add_all(open, std::move(found));
  std::ranges::stable_sort(open, {}, &Leak::line);
  return open;
}

std::string place_mark(const Leak& leak) {
  return hex(sha256(fmt::format("{}\n{}\n{}", leak.path, about(leak.rule).id, leak.name))).substr(0, 20);
}
std::string mark_of(const Leak& leak, std::string_view salt) {
  return fmt::format("{}-{}", place_mark(leak), hex(hmac_sha256(salt, leak.value.reveal())).substr(0, 4));
}

/// Parses the stream of `git cat-file --batch`: "<id> blob <size>\n<bytes>\n" for each name that was asked.
class Batch {
 public:
  using Take = std::function<void(const std::string& id, std::string_view bytes)>;
  explicit Batch(Take take) : take_(std::move(take)) {}
  Result<void> feed(std::string_view bytes) {
    buffer_ += bytes;
    for (;;) {
      const auto end = buffer_.find('\n', at_);
      if (end == std::string::npos) break;
      const std::string_view head(buffer_.data() + at_, end - at_);
      const auto cut = head.find(' '), size_at = head.rfind(' ');
      if (head.ends_with(" missing")) {
        at_ = end + 1;
        continue;
      }
      std::size_t size = 0;
      const auto number = head.substr(size_at + 1);
      if (cut == std::string_view::npos || std::from_chars(number.data(), number.data() + number.size(), size).ec != std::errc{}) return fail(Errc::failed, "git cat-file said something unexpected");
      if (buffer_.size() < end + 1 + size + 1) break;
      take_(std::string(head.substr(0, cut)), std::string_view(buffer_).substr(end + 1, size));
      at_ = end + 1 + size + 1;
    }
    if (at_ > 0) {
      buffer_.erase(0, at_);
      at_ = 0;
    }
    return {};
  }

 private:
  Take take_;
  std::string buffer_;
  std::size_t at_ = 0;
};

Source lines_of(std::vector<std::string> ids) {
  return [ids = std::move(ids), at = std::size_t{0}]() mutable -> Result<std::string> {
    std::string out;
    for (; at < ids.size() && out.size() < 60'000; ++at) out += ids[at] + "\n";
    return out;
  };
}

}  // namespace

TreeScan scan_tree(const std::string& root, const SealedValues& sealed) {
  TreeScan out;
  std::vector<std::string> paths;
  std::error_code error;
  if (fs::is_regular_file(root, error)) {
    paths.push_back("");
  } else {
    for (fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, error), end; it != end && !error; it.increment(error)) {
      auto path = it->path().string().substr(root.size() + (root.ends_with('/') ? 0 : 1));
      std::error_code ignored;
      if (it->is_symlink(ignored)) continue;
      if (it->is_directory(ignored)) {
        if (scan_skips(path + "/")) it.disable_recursion_pending();
        continue;
      }
      if (it->is_regular_file(ignored) && !scan_skips(path)) paths.push_back(std::move(path));
    }
    if (error) out.notes.push_back(fmt::format("the walk through '{}' ended early: {}", root, error.message()));
  }
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    const auto full = path.empty() ? root : root + "/" + path;
    const auto stat = sources::disk().stat(full);
    if (stat.size > kMaxFile) continue;
    const auto text = sources::disk().read(full, kMaxFile);
    if (!text) {
      if (text.error().code == Errc::denied) out.notes.push_back(fmt::format("'{}' cannot be read", full));
      continue;
    }
    ++out.files;
    add_all(out.leaks, scan_both(path.empty() ? std::string(sources::file_name(root)) : path, *text, sealed));
  }
  return out;
}

Result<void> scan_history(const std::string& root, const SealedValues& sealed, TreeScan& into, const Deadline& deadline) {
  if (!find_program("git")) return fail_as(kProgramMissing, Errc::not_found, "'git' is needed for --history and is not on PATH");
  std::map<std::string, std::string> paths;  // blob to the first path under which it was seen
  std::vector<std::string> order;
  std::string rest;
  const Sink objects = [&](std::string_view bytes) -> Result<void> {
    rest += bytes;
    std::size_t at = 0;
    for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', at)) {
      const auto line = std::string_view(rest).substr(at, end - at);
      at = end + 1;
      const auto cut = line.find(' ');
      if (cut == std::string_view::npos || cut + 1 == line.size()) continue;  // a commit, or a root tree
      const auto path = line.substr(cut + 1);
      if (scan_skips(path)) continue;
      if (paths.emplace(line.substr(0, cut), path).second) order.emplace_back(line.substr(0, cut));
    }
    rest.erase(0, at);
    return {};
  };
  const auto git = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"git", "-C", root, "--no-replace-objects"});
    return Command{std::move(words)};
  };
  DM_TRY(const auto listed, during("listing the history", run_fine(git({"rev-list", "--objects", "--all", "--reflog"}), {.out = objects}, deadline)));
  // Sizes and kinds first, so that no picture is read.
  std::vector<std::string> wanted;
  std::string kinds;
  const Sink check = [&](std::string_view bytes) -> Result<void> {
    kinds += bytes;
    return {};
  };
  DM_TRY(const auto checked, run_fine(git({"cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)"}), {.in = lines_of(order), .out = check}, deadline));
  for (std::size_t at = 0; at < kinds.size();) {
    const auto end = std::min(kinds.find('\n', at), kinds.size());
    const auto line = std::string_view(kinds).substr(at, end - at);
    at = end + 1;
    const auto cut = line.find(" blob ");
    if (cut == std::string_view::npos) continue;
    std::uint64_t size = 0;
    std::from_chars(line.data() + cut + 6, line.data() + line.size(), size);
    if (size > 0 && size <= kMaxFile) wanted.emplace_back(line.substr(0, cut));
  }
  std::set<std::string> known;  // what the work tree has too
  for (const auto& leak : into.leaks) known.insert(mark_of(leak, "tree"));
  std::vector<Leak> found;
  Batch batch([&](const std::string& id, std::string_view bytes) {
    ++into.blobs;
    for (auto& leak : scan_both(paths[id], bytes, sealed)) {
      if (!known.insert(mark_of(leak, "tree")).second) continue;
      leak.commit = id;
      found.push_back(std::move(leak));
    }
  });
  DM_TRY(const auto read, run_fine(git({"cat-file", "--batch"}), {.in = lines_of(wanted), .out = [&](std::string_view bytes) { return batch.feed(bytes); }}, deadline));
  // From blobs to the commits that brought them, only where something was found.
  std::map<std::string, std::string> commits;
  for (auto& leak : found) {
    auto& commit = commits[leak.commit];
    if (commit.empty()) {
      const auto log = run_process(git({"log", "--all", "--reflog", "--reverse", "--format=%h %as", "--find-object=" + leak.commit}), {}, deadline);
      commit = log && log->fine() && !log->out.empty() ? log->out.substr(0, log->out.find('\n')) : leak.commit.substr(0, 10);
    }
    leak.commit = commit;
  }
  add_all(into.leaks, std::move(found));
  return {};
}

std::vector<std::string> sealed_files_below(const std::string& root) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, error), end; it != end && !error; it.increment(error)) {
    std::error_code ignored;
    const auto path = it->path().string();
    if (it->is_symlink(ignored)) continue;
    if (it->is_directory(ignored)) {
      if (scan_skips(path.substr(root.size() + 1) + "/")) it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file(ignored) || it->file_size(ignored) > kMaxFile) continue;
    const auto text = sources::disk().read(path, kMaxFile);
    if (text && text->find("ENC[AES256_GCM,") != std::string::npos && sealed_store(*text)) out.push_back(path);
  }
  std::ranges::sort(out);
  return out;
}

SealedValues sealed_values_below(const std::string& root, KeySources sources) {
  SealedValues out;
  sources.ask = {};
  auto keys = Keyring::load(std::move(sources));
  if (!keys || keys->empty()) return out;
  for (const auto& path : sealed_files_below(root)) {
    const auto text = sources::disk().read(path, kMaxFile);
    if (!text || sealed_store(*text) != Store::dotenv) continue;
    auto opened = open_sealed_text(*text, *keys);
    if (!opened) continue;
    for (std::size_t i = 0; i < opened->values.size(); ++i)
      if (opened->values[i].sealed && opened->values[i].type != LeafType::comment) out.emplace_back(opened->document.leaves[i].path.at(0), std::move(opened->values[i].plain));
  }
  return out;
}

void mark_repeated(std::vector<Leak>& leaks) {
  const auto salt = random_bytes(32);
  std::map<std::string, std::vector<Leak*>> same;
  for (auto& leak : leaks)
    if (leak.value.size() >= 6 && leak.rule != LeakRule::weak && leak.rule != LeakRule::hash) same[hmac_sha256(salt, leak.value.reveal())].push_back(&leak);
  for (auto& [mark, places] : same) {
    std::set<std::string> distinct;
    for (const auto* leak : places) distinct.insert(fmt::format("{}:{}", leak->path, leak->line));
    if (distinct.size() < 2) continue;
    for (auto* leak : places) leak->note = fmt::format("the same value stands in {} places", distinct.size());
  }
}

bool Baseline::knows(const Leak& leak) const { return std::ranges::binary_search(marks, mark_of(leak, salt)); }

std::string write_baseline(const std::vector<Leak>& leaks) {
  const auto salt = hex(random_bytes(16));
  std::set<std::string> lines;
  for (const auto& leak : leaks) lines.insert(fmt::format("{} {} {} {}", mark_of(leak, salt), about(leak.rule).id, leak.path, leak.name));
  std::string out = fmt::format("# Accepted by 'datamancy secrets scan --write-baseline'. No secret is in here: each line begins with a mark of its place and 16 bits of its value.\nsalt {}\n", salt);
  for (const auto& line : lines) out += line + "\n";
  return out;
}

Result<Baseline> read_baseline(std::string_view text) {
  Baseline out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("salt ")) {
      out.salt = line.substr(5);
      continue;
    }
    const auto mark = line.substr(0, line.find(' '));
    if (mark.size() != 25 || mark[20] != '-') return fail(Errc::invalid_input, fmt::format("line {} of the baseline is no mark", number));
    out.marks.emplace_back(mark);
  }
  if (out.salt.empty() && !out.marks.empty()) return fail(Errc::invalid_input, "the baseline has no salt");
  std::ranges::sort(out.marks);
  return out;
}

}  // namespace dm::secrets

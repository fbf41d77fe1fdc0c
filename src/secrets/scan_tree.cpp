#include "secrets/scan_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "secrets/crypto.hpp"
#include "secrets/sealed.hpp"
#include "sources/files.hpp"

namespace dm::secrets {
namespace {

namespace fs = std::filesystem;

void add_all(std::vector<Leak>& to, std::vector<Leak> more) {
  for (auto& leak : more) to.push_back(std::move(leak));
}

std::string place_mark(const Leak& leak) {
  return hex(sha256(fmt::format("{}\n{}\n{}", leak.path, about(leak.rule).id, leak.name))).substr(0, 20);
}
std::string mark_of(const Leak& leak, std::string_view salt) {
  return fmt::format("{}-{}", place_mark(leak), hex(hmac_sha256(salt, leak.value.reveal())).substr(0, 4));
}

}  // namespace

std::vector<Leak> scan_both(std::string_view path, std::string_view text, const SealedValues& sealed) {
  auto open = scan_for(path, text, sealed);
  auto found = scan_file(path, text);
  std::erase_if(found, [&](const Leak& leak) { return std::ranges::any_of(open, [&](const Leak& one) { return one.line == leak.line && one.value == leak.value; }); });
  add_all(open, std::move(found));
  std::ranges::stable_sort(open, {}, &Leak::line);
  return open;
}

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
    if (stat.size > kMaxScanned) continue;
    const auto text = sources::disk().read(full, kMaxScanned);
    if (!text) {
      if (text.error().code == Errc::denied) out.notes.push_back(fmt::format("'{}' cannot be read", full));
      continue;
    }
    ++out.files;
    add_all(out.leaks, scan_both(path.empty() ? std::string(sources::file_name(root)) : path, *text, sealed));
  }
  return out;
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
    if (!it->is_regular_file(ignored) || it->file_size(ignored) > kMaxScanned) continue;
    const auto text = sources::disk().read(path, kMaxScanned);
    if (text && text->find(kSealedValue) != std::string::npos && sealed_store(*text)) out.push_back(path);
  }
  std::ranges::sort(out);
  return out;
}

SealedValues sealed_values_of(const std::vector<std::string>& paths, KeySources sources, std::string* mark) {
  SealedValues out;
  std::string opened_texts;
  sources.ask = {};
  auto keys = Keyring::load(std::move(sources));
  if (!keys || keys->empty()) return out;
  for (const auto& path : paths) {
    const auto text = sources::disk().read(path, kMaxScanned);
    if (!text || text->find(kSealedValue) == std::string::npos || sealed_store(*text) != Store::dotenv) continue;
    auto opened = open_sealed_text(*text, *keys);
    if (!opened) continue;
    opened_texts += sha256(*text);
    for (std::size_t i = 0; i < opened->values.size(); ++i)
      if (opened->values[i].sealed && opened->values[i].type != LeafType::comment) out.emplace_back(opened->document.leaves[i].path.at(0), std::move(opened->values[i].plain));
  }
  if (mark != nullptr) *mark = hex(sha256(opened_texts));
  return out;
}

SealedValues sealed_values_below(const std::string& root, KeySources sources) { return sealed_values_of(sealed_files_below(root), std::move(sources)); }

void mark_repeated(std::vector<Leak>& leaks) {
  const auto salt = random_bytes(32);
  std::map<std::string, std::vector<Leak*>> same;
  for (auto& leak : leaks)
    if (leak.value.size() >= 6 && leak.rule != LeakRule::weak && leak.rule != LeakRule::hash) same[hmac_sha256(salt, leak.value.reveal())].push_back(&leak);
  for (auto& [mark, places] : same) {
    std::set<std::string> distinct;
    for (const auto* leak : places) distinct.insert(fmt::format("{}:{}", leak->path, leak->line));
    if (distinct.size() < 2) continue;
    for (auto* leak : places) leak->note += fmt::format("{}the same value stands in {} places", leak->note.empty() ? "" : "; ", distinct.size());
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

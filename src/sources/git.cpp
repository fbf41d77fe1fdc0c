#include "sources/git.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace dm::sources {
namespace {

/// `*`, `?`, `[...]` within one name; `**` over folders where it fills a whole name.
bool glob(std::string_view pattern, std::string_view text) {
  // Positions to go back to for the last star: one that stays within a name, one that crosses them.
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  std::size_t deep = std::string_view::npos;
  std::size_t deep_text = 0;
  while (true) {
    if (p < pattern.size()) {
      const bool begins_name = p == 0 || pattern[p - 1] == '/';
      if (begins_name && pattern.substr(p).starts_with("**/")) {
        deep = p += 3;
        deep_text = t;
        star = std::string_view::npos;
        continue;
      }
      if (begins_name && pattern.substr(p) == "**") return t < text.size();
      if (pattern[p] == '*') {
        while (p < pattern.size() && pattern[p] == '*') ++p;
        star = p;
        star_text = t;
        continue;
      }
    }
    if (t == text.size() && p == pattern.size()) return true;
    if (p < pattern.size() && t < text.size()) {
      if (pattern[p] == '?' && text[t] != '/') {
        ++p, ++t;
        continue;
      }
      if (pattern[p] == '[' && text[t] != '/') {
        auto at = p + 1;
        const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
        if (negated) ++at;
        const auto first = at;
        bool found = false;
        while (at < pattern.size() && (pattern[at] != ']' || at == first)) {
          if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
            found = found || (pattern[at] <= text[t] && text[t] <= pattern[at + 2]);
            at += 3;
          } else {
            found = found || pattern[at] == text[t];
            ++at;
          }
        }
        if (at < pattern.size() && found != negated) {
          p = at + 1;
          ++t;
          continue;
        }
      } else {
        const auto literal = pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
        if (pattern[literal] == text[t] && (literal != p || pattern[p] != '?')) {
          p = literal + 1;
          ++t;
          continue;
        }
      }
    }
    if (star != std::string_view::npos && star_text < text.size() && text[star_text] != '/') {
      p = star;
      t = ++star_text;
      continue;
    }
    if (deep == std::string_view::npos) return false;
    const auto slash = text.find('/', deep_text);
    if (slash == std::string_view::npos) return false;
    p = deep;
    t = deep_text = slash + 1;
    star = std::string_view::npos;
  }
}

/// The last matching line decides; nothing where none matches.
std::optional<bool> decide(std::string_view lines, std::string_view path, bool folder) {
  std::optional<bool> out;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    auto line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const bool negated = line.starts_with('!');
    if (negated) line.remove_prefix(1);
    if (git_pattern_matches(line, path, folder)) out = !negated;
  }
  return out;
}

std::uint32_t number(std::string_view bytes) {
  std::uint32_t out = 0;
  for (const char c : bytes) out = out << 8U | static_cast<unsigned char>(c);
  return out;
}

}  // namespace

bool git_pattern_matches(std::string_view pattern, std::string_view path, bool folder) {
  if (pattern.ends_with('/')) {
    if (!folder) return false;
    pattern.remove_suffix(1);
  }
  if (pattern.empty()) return false;
  const bool anchored = pattern.find('/') != std::string_view::npos;
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  if (!anchored) path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0
  return glob(pattern, path);
}

std::string git_root(const Files& files, std::string_view path) {
  for (auto slash = path.rfind('/'); slash != std::string_view::npos; slash = slash == 0 ? std::string_view::npos : path.rfind('/', slash - 1)) {
    const std::string folder(path.substr(0, slash));
    if (const auto kind = files.stat(folder + "/.git").kind; kind == Kind::directory || kind == Kind::regular) return folder.empty() ? "/" : folder;
  }
  return {};
}

bool git_ignores(const Files& files, const std::string& root, std::string_view path) {
  auto rest = path.substr(std::min(path.size(), root.size()));
  while (rest.starts_with('/')) rest.remove_prefix(1);
  std::vector<std::pair<std::size_t, std::string>> rules;  // where the file's folder ends in `rest`, its text
  if (auto text = files.read(root + "/.git/info/exclude")) rules.emplace_back(0, *std::move(text));
  if (auto text = files.read(root + "/.gitignore")) rules.emplace_back(0, *std::move(text));
  std::size_t at = 0;
  while (true) {
    const auto slash = rest.find('/', at);
    const bool folder = slash != std::string_view::npos;
    const auto part = rest.substr(0, slash);
    std::optional<bool> ignored;
    for (const auto& [from, text] : rules)
      if (const auto answer = decide(text, part.substr(from), folder)) ignored = answer;
    if (ignored.value_or(false)) return true;  // what lies in an ignored folder cannot be brought back
    if (!folder) return false;
    at = slash + 1;
    if (auto text = files.read(fmt::format("{}/{}/.gitignore", root, part))) rules.emplace_back(at, *std::move(text));
  }
}

Result<std::vector<std::string>> git_index_paths(std::string_view index) {
  if (index.size() < 12 || !index.starts_with("DIRC")) return fail(Errc::corrupt, "git index: no index");
  const auto version = number(index.substr(4, 4));
  if (version < 2 || version > 4) return fail(Errc::unsupported, fmt::format("git index: version {}", version));
  const auto count = number(index.substr(8, 4));
  std::vector<std::string> out;
  std::size_t at = 12;
  for (std::uint32_t i = 0; i < count; ++i) {
    constexpr std::size_t kFixed = 62;  // times, ids, mode, size, SHA-1, flags
    if (at > index.size() || index.size() - at < kFixed + 2) return fail(Errc::corrupt, "git index: cut off");
    auto name = at + kFixed;
    if ((static_cast<unsigned char>(index[at + 60]) & 0x40U) != 0) name += 2;  // extended flags
    std::string path;
    if (version == 4) {  // so many bytes of the name before fall away
      std::size_t strip = 0;
      for (bool more = true; more; ++name) {
        if (name >= index.size() || strip > index.size()) return fail(Errc::corrupt, "git index: cut off");
        const auto byte = static_cast<unsigned char>(index[name]);
        more = (byte & 0x80U) != 0;
        strip = (strip << 7U) + (byte & 0x7FU) + (more ? 1U : 0U);
      }
      if (out.empty() ? strip > 0 : strip > out.back().size()) return fail(Errc::corrupt, "git index: a name is longer than the one before");
      if (!out.empty()) path = out.back().substr(0, out.back().size() - strip);
    }
    const auto end = index.find('\0', name);
    if (end == std::string_view::npos) return fail(Errc::corrupt, "git index: cut off");
    path += index.substr(name, end - name);
    out.push_back(std::move(path));
    at = version == 4 ? end + 1 : at + (end - at + 8) / 8 * 8;  // padded with 1 to 8 NUL
  }
  return out;
}

}  // namespace dm::sources

#include "secrets/history_cache.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/files.hpp"
#include "secrets/crypto.hpp"
#include "sources/files.hpp"

namespace dm::secrets {
namespace {

constexpr std::uint64_t kMost = 64U << 20U;

std::string first_line() { return fmt::format("datamancy git history 1, scan {}\n", kScanVersion); }

bool is_id(std::string_view text) { return (text.size() == 40 || text.size() == 64) && text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

}  // namespace

std::string write_history_cache(const HistoryCache& cache) {
  auto out = first_line();
  out += fmt::format("repository {}\nlooked-for {}\nversions {}\n", cache.repository, cache.looked_for, cache.versions);
  for (const auto& tip : cache.tips) out += fmt::format("tip {}\n", tip);
  for (const auto& entry : cache.entries)  // no path has a line end: git lists none
    out += fmt::format("file {} {} {} {}\n", entry.object, entry.commit.empty() ? "-" : entry.commit, entry.date.empty() ? "-" : entry.date, entry.path);
  return out + fmt::format("end {}\n", hex(sha256(out)));
}

std::optional<HistoryCache> parse_history_cache(std::string_view text) {
  const auto head = first_line();
  const auto end = text.rfind("end ");
  if (!text.starts_with(head) || end == std::string_view::npos || text.substr(end) != fmt::format("end {}\n", hex(sha256(text.substr(0, end))))) return std::nullopt;
  text = text.substr(head.size(), end - head.size());
  HistoryCache out;
  while (!text.empty()) {
    const auto stop = text.find('\n');
    if (stop == std::string_view::npos) return std::nullopt;
    auto line = text.substr(0, stop);
    text.remove_prefix(stop + 1);
    const auto next = [&] {
      const auto cut = std::min(line.find(' '), line.size());
      const auto word = line.substr(0, cut);
      line.remove_prefix(std::min(cut + 1, line.size()));
      return std::string(word);
    };
    const auto key = next();
    if (key == "repository") out.repository = line;
    else if (key == "looked-for") out.looked_for = line;
    else if (key == "versions" && std::from_chars(line.data(), line.data() + line.size(), out.versions).ec == std::errc{}) continue;
    else if (key == "tip" && is_id(line)) out.tips.emplace_back(line);
    else if (key == "file") {
      HistoryCache::Entry entry{next(), {}, next(), next()};
      if (entry.commit == "-") entry.commit.clear();
      if (entry.date == "-") entry.date.clear();
      entry.path = line;
      if (!is_id(entry.object) || (!entry.commit.empty() && !is_id(entry.commit))) return std::nullopt;
      out.entries.push_back(std::move(entry));
    } else return std::nullopt;
  }
  return out;
}

std::string history_cache_path(const std::string& folder, std::string_view repository) { return fmt::format("{}/{}", folder, repository.substr(0, 32)); }

std::optional<HistoryCache> load_history_cache(const std::string& folder, std::string_view repository) {
  const auto path = history_cache_path(folder, repository);
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022U) != 0) return std::nullopt;
  const auto text = sources::disk().read(path, kMost);
  auto out = text ? parse_history_cache(*text) : std::nullopt;
  return out && out->repository == repository ? std::move(out) : std::nullopt;
}

Result<void> save_history_cache(const std::string& folder, const HistoryCache& cache) {
  DM_CHECK(make_folders(folder, 0700));
  return write_atomic(history_cache_path(folder, cache.repository), write_history_cache(cache), 0600);
}

}  // namespace dm::secrets

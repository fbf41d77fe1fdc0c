/// What an earlier scan of a repository's history read, so that the next one reads only what came since. Holds no secret and nothing made of one: ids of
/// objects, their paths and commits; the few files in which something stood are read again for every answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::secrets {

/// Goes up with every change of what the scan finds: `scan.cpp` and `scan_rules.cpp`. A test knows which text of them has which number.
inline constexpr unsigned kScanVersion = 1;

struct HistoryCache {
  /// A file of the history in which something stood.
  struct Entry {
    std::string object{}, path{}, commit{}, date{};
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::string repository{};           ///< which one, and where its history is cut, as a hash
  std::string looked_for{};           ///< mark of the sealed files whose values were looked for
  std::vector<std::string> tips{};    ///< all that they reach was read; sorted
  std::size_t versions = 0;           ///< of files, read so far
  std::vector<Entry> entries{};       ///< newest first
};

std::string write_history_cache(const HistoryCache& cache);
/// Nothing where it is damaged, or of another version of the format or of the scan.
std::optional<HistoryCache> parse_history_cache(std::string_view text);

/// The file of one repository, in `folder`.
std::string history_cache_path(const std::string& folder, std::string_view repository);
/// As `parse_history_cache`; nothing, too, where the file is not of this repository or not our own.
std::optional<HistoryCache> load_history_cache(const std::string& folder, std::string_view repository);
/// Mode 0600, whole or not at all; makes the folder.
Result<void> save_history_cache(const std::string& folder, const HistoryCache& cache);

}  // namespace dm::secrets

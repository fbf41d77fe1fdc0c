/// The scan over a folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "secrets/keyring.hpp"
#include "secrets/scan.hpp"

namespace dm::secrets {

using SealedValues = std::vector<std::pair<std::string, SecretString>>;

inline constexpr std::uint64_t kMaxScanned = 4U << 20U;               ///< larger files are not read
inline constexpr std::string_view kSealedValue = "ENC[AES256_GCM,";   ///< what every sealed file has

struct TreeScan {
  std::vector<Leak> leaks;         ///< in order of path and line
  std::size_t files = 0;           ///< read
  std::size_t versions = 0;        ///< of files, in git history
  std::vector<std::string> notes;  ///< what could not be read
};

/// `scan_file` and `scan_for`, where the second says more than the first about the same line.
std::vector<Leak> scan_both(std::string_view path, std::string_view text, const SealedValues& sealed);

/// Every regular file below `root`, or `root` itself where it is a file; links are not followed. Paths are relative to `root`.
TreeScan scan_tree(const std::string& root, const SealedValues& sealed);

/// Values of all sealed files below `root` that open without asking; for `scan_for`.
SealedValues sealed_values_below(const std::string& root, KeySources sources);
/// The same of these files; files that are not sealed may be among them. `mark` changes with the text of what was opened.
SealedValues sealed_values_of(const std::vector<std::string>& paths, KeySources sources, std::string* mark = nullptr);

/// Absolute paths of all sealed files below `root`, of any store, by content.
std::vector<std::string> sealed_files_below(const std::string& root);

/// Adds "the same value stands in N places" to the notes of leaks.
void mark_repeated(std::vector<Leak>& leaks);

/// What is known and accepted. Holds no secret and no hash that would confirm a guess: place, rule, name, and 16 bits that change with the value.
struct Baseline {
  std::string salt;                       ///< hex
  std::vector<std::string> marks;         ///< sorted
  bool knows(const Leak& leak) const;
};
std::string write_baseline(const std::vector<Leak>& leaks);
/// Errors: `invalid_input` with the line.
Result<Baseline> read_baseline(std::string_view text);

}  // namespace dm::secrets

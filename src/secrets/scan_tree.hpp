/// The scan over a folder and over git history.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/deadline.hpp"
#include "secrets/keyring.hpp"
#include "secrets/scan.hpp"

namespace dm::secrets {

using SealedValues = std::vector<std::pair<std::string, SecretString>>;

struct TreeScan {
  std::vector<Leak> leaks;         ///< in order of path and line
  std::size_t files = 0;           ///< read
  std::size_t blobs = 0;           ///< of the history
  std::vector<std::string> notes;  ///< what could not be read
};

/// Every regular file below `root`, or `root` itself where it is a file; links are not followed. Paths are relative to `root`.
TreeScan scan_tree(const std::string& root, const SealedValues& sealed);

/// Every blob of every commit that any ref or the reflog reaches, each once. What stands in the work tree too is left out of the result
/// (`known`). Errors: exit 10 without git, `not_found` where it is no git work tree, those of `run_fine`.
Result<void> scan_history(const std::string& root, const SealedValues& sealed, TreeScan& into, const Deadline& deadline);

/// Values of all sealed files below `root` that open without asking; for `scan_for`.
SealedValues sealed_values_below(const std::string& root, KeySources sources);

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

/// Secrets in the history of a git repository: whatever a ref or a reflog reaches, what was deleted, amended and stashed, too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "secrets/git_repository.hpp"
#include "secrets/keyring.hpp"
#include "secrets/scan_tree.hpp"

namespace dm::secrets {

/// What of a repository's sealed files is looked for beside what shows by its form.
struct LookedFor {
  SealedValues values{};
  std::string mark{};   ///< of the sealed files, not of the values: it confirms no guess
};
/// All sealed files, in the index or not yet, that open without asking.
Result<LookedFor> sealed_in(const GitRepository& repository, KeySources sources, const Deadline& deadline);

struct PastLeak {
  /// Where the value stands today.
  enum class Now : std::uint8_t {
    gone,       ///< in none of the files that leaked, so far as they are still here
    committed,  ///< in a file of the work tree that git has in its index
    kept,       ///< in the file at its path, which git has not: the value leaked, and is in use
  };
  Leak leak;             ///< its path is from the top of the work tree; `commit` is "ID DATE", shortened
  std::string commit{};  ///< that brought it, whole; "" = none is known (a tag on a file)
  std::string date{};    ///< of the commit's author
  Now now = Now::gone;
  std::size_t line_now = 0;  ///< where it is `kept`
};

struct History {
  std::vector<PastLeak> leaks{};       ///< each value once per path and name, in order of path and line
  std::size_t versions = 0;            ///< of files that were read, by this scan or those before it
  std::size_t read = 0;                ///< by this one
  std::vector<std::string> notes{};    ///< what was not read, and why
};

/// `cache_folder`: where the next scan learns what this one read; "" = it does not. A folder that cannot be written is no error. Errors: git's words.
Result<History> scan_history(const GitRepository& repository, const LookedFor& looked_for, const std::string& cache_folder, const Deadline& deadline);

}  // namespace dm::secrets

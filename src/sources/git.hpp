/// What git would do with a file, read from its own files: no git is run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sources/files.hpp"

namespace dm::sources {

/// The work tree that holds `path` (absolute): the nearest folder at or above it with a `.git`; "" if there is none.
std::string git_root(const Files& files, std::string_view path);

/// `.gitignore` files from `root` down, and `.git/info/exclude`, ignore `path` (absolute, a file below `root`).
/// As https://git-scm.com/docs/gitignore has it; the user's global file is not read.
bool git_ignores(const Files& files, const std::string& root, std::string_view path);

/// One pattern of a .gitignore against a path relative to the folder of that file.
bool git_pattern_matches(std::string_view pattern, std::string_view path, bool folder);

/// The paths in an index (https://git-scm.com/docs/index-format, versions 2 to 4). Errors: `corrupt`, `unsupported`.
Result<std::vector<std::string>> git_index_paths(std::string_view index);

}  // namespace dm::sources

/// `--history` of the verbs that look for secrets: what git history holds, read with what earlier runs remember.
#pragma once

#include <string>
#include <vector>

#include "audit/history.hpp"
#include "cli/verbs.hpp"
#include "compose/project.hpp"
#include "secrets/history.hpp"

namespace dm::cli {

struct PastOfRepository {
  secrets::GitRepository repository;
  secrets::History history;
};
/// Of the repository whose work tree holds `path`, a folder or a file. Errors: those of `find_git_repository` and `scan_history`.
Result<PastOfRepository> read_history(const Args& args, const std::string& path);

/// The same as the audit takes it. What it leaves to other rules and what could not be read is said on standard error.
Result<std::vector<audit::PastSecret>> past_secrets(const Args& args, const compose::Project& project);

}  // namespace dm::cli

/// Copies a repository, as it lies encrypted on this disk, to a machine that has nothing but rsync.
#pragma once

#include <string>
#include <vector>

#include "backup/repository.hpp"

namespace dm::backup {

/// rsync to `target` ("user@host:/path", or a path). Files are only ever added: a repository's files never change, their name is their
/// checksum, so what is damaged or gone here stays whole there. Locks are left out. `ssh_options` are given to ssh; its host key must
/// be known, it is never accepted on sight. Afterwards rsync is asked whether anything is missing there. Gives what was done, in words.
/// Errors: `unsupported` (the repository does not lie on this disk), `not_found` with exit 10 (no rsync), `failed`.
Result<std::string> mirror(const Location& repository, const std::string& target, const std::vector<std::string>& ssh_options, const Deadline& deadline);

}  // namespace dm::backup

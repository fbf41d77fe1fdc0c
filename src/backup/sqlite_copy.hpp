/// SQLite databases that an application has open.
#pragma once

#include <string>

#include "base/deadline.hpp"
#include "base/io.hpp"

namespace dm::backup {

/// A consistent image of the database at `path`, made by SQLite's backup interface while others write: a file beside it whose name is
/// gone already, so that nothing of it stays whatever happens to us. Needs as much free space there as the database has. Waits up
/// to a minute for writers that lock it. Errors: `conflict` (locked), `corrupt`, `failed`.
Result<Fd> copy_database(const std::string& path, const Deadline& deadline);

/// integrity_check and foreign_key_check. Errors: `corrupt` with SQLite's words.
Result<void> check_database(const std::string& path, const Deadline& deadline);

}  // namespace dm::backup

/// What a file is that somebody calls a backup, and whether it is whole.
#pragma once

#include <string>
#include <vector>

#include "backup/manifest.hpp"

namespace dm::backup {

struct Inspected {
  std::string kind{};                          ///< "pg_dump, plain", "pg_dump, custom format", "mariadb-dump", "RDB", "LDIF", "tar", "SQLite", "gzip", ...
  Outcome outcome = Outcome::could_not_verify;  ///< verified = whole to its end mark
  std::string detail{};
  std::uint64_t bytes = 0;
  Fingerprint fingerprint{};                   ///< where it is verified
};

/// Reads the stream to its end. Errors: those of `in`.
Result<Inspected> inspect(const Source& in);

}  // namespace dm::backup

/// Writing files so that a reader, or a power cut, sees the old content or the new one and nothing between. (Reading is
/// `sources::Files`.)
#pragma once

#include <string>
#include <string_view>

#include "base/io.hpp"

namespace dm {

/// Replaces `path` by a temporary file in the same folder, fsync, rename, fsync of the folder. An existing file keeps its owner
/// and its mode unless `mode` is given (octal permission bits); a new one gets `mode`, or 0644. A symbolic link is followed, so
/// that its target is what changes. Errors: `denied`, `not_found` (no such folder), `unsupported` (a device, FIFO, folder), `failed`.
Result<void> write_atomic(const std::string& path, std::string_view bytes, int mode = -1);

/// Creates `path` and its parents. Folders that it makes get `mode`.
Result<void> make_folders(const std::string& path, int mode = 0755);

/// An anonymous file in memory that holds `bytes`, sealed against change, at offset 0: what a child reads as /dev/fd/N or
/// /proc/self/fd/N without anything touching a disk. The name shows in /proc only.
Result<Fd> memory_file(std::string_view name, std::string_view bytes);

/// A lock on `path` (created, mode 0600), held until the Fd closes or the process ends however. Errors: `conflict` with the holder's
/// "pid N (what)" where somebody else holds it, after waiting until `deadline`.
Result<Fd> lock_file(const std::string& path, std::string_view what, const Deadline& deadline);

}  // namespace dm

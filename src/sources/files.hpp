/// The outside world of files, behind a small interface with a twin in memory, so that every judgement can be repeated
/// on strings.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::sources {

enum class Kind : std::uint8_t { missing, regular, directory, other /* socket, FIFO, device */, unreadable };

struct Stat {
  Kind kind = Kind::missing;
  std::uint32_t mode = 0;      ///< permission bits, e.g. 0644
  std::uint64_t size = 0;      ///< bytes, of a regular file
  bool symlink = false;        ///< the path itself is a symbolic link (kind is that of its target)
};

/// Largest file that is ever read, in bytes. Compose files of 50 MB are refused well before that by the loader.
inline constexpr std::uint64_t kMaxFile = 64ULL << 20U;

/// Paths are absolute, or relative to the process's folder. Thread-compatible.
class Files {
 public:
  virtual ~Files() = default;
  /// Never fails: what cannot be looked at is `missing` or `unreadable` (symlink loops are `missing`).
  virtual Stat stat(const std::string& path) const = 0;
  /// Errors: `not_found`, `denied`, `unsupported` (not a regular file: never blocks on a FIFO), `invalid_input` (over
  /// `limit` bytes).
  virtual Result<std::string> read(const std::string& path, std::uint64_t limit = kMaxFile) const = 0;
  /// Names in a folder, sorted, without "." and ".."; empty where there is no folder.
  virtual std::vector<std::string> list(const std::string& path) const = 0;
  /// Absolute, symbolic links resolved as far as they exist, "." and ".." removed.
  virtual std::string canonical(const std::string& path) const = 0;
};

/// The real disk.
const Files& disk();

/// Files in memory, for tests and rule examples. `/` is the root of everything; folders exist through their files.
class MemoryFiles final : public Files {
 public:
  void add(const std::string& path, std::string content, std::uint32_t mode = 0644);
  void add_folder(const std::string& path);
  Stat stat(const std::string& path) const override;
  Result<std::string> read(const std::string& path, std::uint64_t limit = kMaxFile) const override;
  std::vector<std::string> list(const std::string& path) const override;
  std::string canonical(const std::string& path) const override;

 private:
  struct File {
    std::string content;
    std::uint32_t mode = 0644;
    bool folder = false;
  };
  std::map<std::string, File> files_;  // by cleaned absolute path
};

/// "/a/./b/../c" -> "/a/c"; a relative path is joined to `base` first. Purely textual.
std::string clean_path(std::string_view path, std::string_view base = "/");
/// Folder part of a cleaned absolute path ("/" has itself).
std::string parent_path(std::string_view path);
/// Last component of a path.
std::string_view file_name(std::string_view path);

}  // namespace dm::sources

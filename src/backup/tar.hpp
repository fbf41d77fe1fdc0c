/// The tar format, both ways, in pieces: ustar with pax headers; GNU's long names are read too.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/io.hpp"

namespace dm::backup {

struct TarEntry {
  std::string path{};                          ///< relative, without "./" and a slash at the end; "." = the root itself
  char type = '0';                             ///< '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' folder, '6' FIFO
  std::uint32_t mode = 0;                      ///< with set-id and sticky bits
  std::uint64_t uid = 0, gid = 0, size = 0;
  std::int64_t mtime = 0;
  std::uint32_t mtime_ns = 0;
  std::string link{};
  std::uint32_t major = 0, minor = 0;
  std::map<std::string, std::string> xattrs{};
  bool sparse = false;                         ///< its zeros were holes
};

/// The header blocks of an entry; the data, padded to 512 bytes, follows.
std::string tar_header(const TarEntry& entry);
/// What follows the last entry.
std::string tar_end();

/// Calls back for each entry and its data. Bounded memory: pax headers of at most 8 MiB.
class TarReader {
 public:
  std::function<Result<void>(const TarEntry& entry)> on_entry{};
  std::function<Result<void>(std::string_view data)> on_data{};   ///< of the entry before
  std::function<Result<void>()> on_end{};                         ///< all data of the entry was given

  Result<void> take(std::string_view bytes);
  /// Errors: `corrupt` where the end mark is missing.
  Result<void> finish() const;

 private:
  Result<void> header(std::string_view block);
  Result<void> meta_done();
  enum class Mode : std::uint8_t { header, data, padding, meta, end };
  Mode mode_ = Mode::header;
  std::string block_;
  std::uint64_t left_ = 0, padding_ = 0;
  char meta_type_ = 0;
  std::string meta_;
  std::map<std::string, std::string> pax_;
  std::string long_name_, long_link_;
  unsigned zero_blocks_ = 0;
  std::uint64_t entries_ = 0;
};

}  // namespace dm::backup

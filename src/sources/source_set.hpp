/// The texts that a run has read, by number, so that a place is twelve bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sources/files.hpp"
#include "text/span.hpp"

namespace dm::sources {

using FileId = std::uint32_t;
inline constexpr FileId kNoFile = 0;  ///< "nowhere": a default, the process's environment, an option

/// A place in one of the texts.
struct Location {
  FileId file = kNoFile;
  text::Span span;
  explicit operator bool() const { return file != kNoFile; }
  friend auto operator<=>(const Location&, const Location&) = default;
};

/// One text that was read.
struct Source {
  std::string path;   ///< absolute, as opened; "-" for standard input
  std::string content;
  std::uint32_t mode = 0;
};

/// Owns the texts; references stay valid as long as the set lives. Reads each path once. Not thread-safe.
class SourceSet {
 public:
  explicit SourceSet(const Files& files) : files_(files) {}
  SourceSet(const SourceSet&) = delete;
  SourceSet& operator=(const SourceSet&) = delete;

  /// Reads `path` (absolute and cleaned), or gives the number it has already. Errors as Files::read; an error is
  /// remembered too.
  Result<FileId> open(const std::string& path, std::uint64_t limit = kMaxFile);
  /// Adds a text that is not on disk (standard input, an option).
  FileId add(std::string name, std::string content);
  /// The number of a path that was opened, or kNoFile.
  FileId find(const std::string& path) const;

  const Source& at(FileId id) const { return sources_.at(id - 1); }  ///< id is one that this set gave
  std::size_t size() const { return sources_.size(); }               ///< ids are 1 ... size()
  std::string_view text(const Location& where) const;                ///< the bytes; empty for nowhere
  text::Position position(const Location& where) const;              ///< of the first byte; {1, 1} for nowhere
  const text::LineIndex& lines(FileId id) const;                     ///< built when first asked for
  const Files& files() const { return files_; }
  /// "compose.yaml:12:5", the path relative to `base` where it lies below it. "" for nowhere.
  std::string describe(const Location& where, std::string_view base) const;

 private:
  const Files& files_;
  std::deque<Source> sources_;
  mutable std::deque<std::unique_ptr<text::LineIndex>> lines_;
  std::map<std::string, Result<FileId>, std::less<>> by_path_;
};

/// `path` as seen from folder `base`: "b/c" for "/a/b/c" and "/a"; unchanged where it does not lie below it.
std::string_view relative_to(std::string_view path, std::string_view base);

}  // namespace dm::sources

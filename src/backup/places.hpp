/// Places in the repository that take a stream as soon as there is one: opening a repository costs most of a second of CPU (the
/// password's derivation is slow on purpose), which passes while other things are under way.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/manifest.hpp"
#include "backup/pipe.hpp"
#include "backup/repository.hpp"

namespace dm::backup {

using Place = Ahead<Result<Stored>>;

/// Those of one run.
class Places {
 public:
  /// `repository` must outlive it. `partial`: the run saves a part only, which its snapshots say.
  Places(Repository& repository, std::string project, bool partial, const Deadline& deadline);
  const std::string& run() const { return run_; }
  std::int64_t started() const { return started_; }
  /// In the repository: stable, so that old and new versions of a stream meet under it.
  std::string path(std::string_view subject, std::string_view file) const;

  /// Opens places for the first streams, going by what the last run saved: before anything is known of this one.
  void expect(const Manifest& last);
  void prepare(std::string_view subject, std::string_view file);
  std::unique_ptr<Place> take(std::string_view subject, std::string_view file);
  std::unique_ptr<Place> manifest();
  /// The streams of `subject` are `files`: what was expected beside them is given up.
  void only(std::string_view subject, const std::vector<std::string>& files);

 private:
  std::unique_ptr<Place> open(std::string path, std::vector<std::string> tags);

  Repository& repository_;
  std::string project_, run_;
  bool partial_;
  std::int64_t started_;
  Deadline deadline_;
  std::map<std::string, std::unique_ptr<Place>> open_;  ///< by path
};

}  // namespace dm::backup

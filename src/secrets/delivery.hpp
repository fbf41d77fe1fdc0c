/// Secrets on their way to Compose and to containers: decrypted in memory, never a plaintext file on a disk.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io.hpp"
#include "compose/load.hpp"
#include "secrets/keyring.hpp"
#include "sources/files.hpp"

namespace dm::secrets {

/// The sealed variables of a project, in the clear.
struct ProjectSecrets {
  struct File {
    std::string path;            ///< of the sealed file
    SecretString text;           ///< dotenv, as Compose is to read it
    std::string shown;           ///< the same lines with placeholders ("sealed.NAME"; plain values and small numbers as they are)
    std::vector<std::string> names;
  };
  std::vector<File> files;       ///< sorted by name; a later one wins
  /// For marks that tell whether a value changed, and say nothing else: made from the files' data keys, so that it lasts as long as they do.
  SecretString mark_key;
  bool any() const { return !files.empty(); }
  bool sealed(std::string_view name) const;
};

/// Opens every sealed env file of a project's folder. A file that cannot be opened is an error (exit 10, 11, 12), never passed over: there is no
/// fallback to plain text. No sealed file at all is an empty value.
Result<ProjectSecrets> environment_for(const std::string& folder, const KeySources& sources);

/// For the audit, which judges files and never shows a secret: placeholders only, also without a key. A key that can be had without asking only makes
/// small numbers (ports) real. Files that are damaged are left out.
ProjectSecrets placeholders_for(const std::string& folder, KeySources sources);

/// A view of the disk in which the sealed files of `secrets` read as their plain text or as placeholders, for `compose::load`. `secrets` must outlive
/// it. The texts of a load with values hold secrets: a line of a file for which `secret(path)` holds must not be shown.
class UnsealedFiles final : public sources::Files {
 public:
  enum class Show { values, placeholders };
  UnsealedFiles(const ProjectSecrets& secrets, Show show, const sources::Files& under = sources::disk()) : secrets_(secrets), show_(show), under_(under) {}
  bool secret(std::string_view path) const { return show_ == Show::values && find(path) != nullptr; }
  /// A file that is on no disk and holds no secret.
  void add(std::string path, std::string text) { added_.insert_or_assign(std::move(path), std::move(text)); }
  sources::Stat stat(const std::string& path) const override;
  Result<std::string> read(const std::string& path, std::uint64_t limit = sources::kMaxFile) const override;
  std::vector<std::string> list(const std::string& path) const override { return under_.list(path); }
  std::string canonical(const std::string& path) const override { return added_.contains(path) ? path : under_.canonical(path); }

 private:
  const ProjectSecrets::File* find(std::string_view path) const;
  const ProjectSecrets& secrets_;
  Show show_;
  const sources::Files& under_;
  std::map<std::string, std::string, std::less<>> added_;
};

/// Makes `options` read the sealed files after the plain ones that it would read anyway (`.env` of `folder`, or those that were named).
void add_to(compose::Options& options, const ProjectSecrets& secrets, const std::string& folder);

/// What `docker compose` is started with: `--env-file` arguments (the plain files that it would read, then the sealed ones as memory files), and the
/// descriptors for `Command::descriptors`. Keep it until the child has ended; the memory is gone with it.
struct ComposeFeed {
  std::vector<std::string> arguments;
  std::map<int, int> descriptors;
  std::vector<Fd> memory;
};
Result<ComposeFeed> compose_feed(const ProjectSecrets& secrets, const std::string& folder, const compose::Options& options, int first_descriptor = 10);

/// The variables of the sealed files as Compose reads them, in order of their names; references may name variables of the process. Errors: `invalid_input` where a text cannot be read.
Result<std::vector<std::pair<std::string, SecretString>>> variables_of(const ProjectSecrets& secrets, const std::map<std::string, std::string, std::less<>>& process_environment);

/// Takes sealed values out of what other programs say: each occurrence becomes "(sealed NAME)". Values of fewer than four characters stay: they say nothing
/// and stand everywhere.
class Scrubber {
 public:
  explicit Scrubber(std::vector<std::pair<std::string, SecretString>> variables);
  std::string clean(std::string_view text) const;

 private:
  std::vector<std::pair<std::string, SecretString>> variables_;  // longest value first
};

}  // namespace dm::secrets

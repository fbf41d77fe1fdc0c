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
    std::vector<std::string> names;
  };
  std::vector<File> files;       ///< sorted by name; a later one wins
  bool any() const { return !files.empty(); }
  bool sealed(std::string_view name) const;
};

/// Opens every sealed env file of a project's folder. A file that cannot be opened is an error (exit 10, 11, 12), never passed over: there is no
/// fallback to plain text. No sealed file at all is an empty value.
Result<ProjectSecrets> environment_for(const std::string& folder, const KeySources& sources);

/// A view of the disk in which the sealed files of `secrets` read as their plain text, for `compose::load`. `secrets` must outlive it. The texts of such
/// a load hold secrets: whoever shows a line of a file for which `secret(path)` holds must not.
class UnsealedFiles final : public sources::Files {
 public:
  explicit UnsealedFiles(const ProjectSecrets& secrets, const sources::Files& under = sources::disk()) : secrets_(secrets), under_(under) {}
  bool secret(std::string_view path) const { return find(path) != nullptr; }
  sources::Stat stat(const std::string& path) const override;
  Result<std::string> read(const std::string& path, std::uint64_t limit = sources::kMaxFile) const override;
  std::vector<std::string> list(const std::string& path) const override { return under_.list(path); }
  std::string canonical(const std::string& path) const override { return under_.canonical(path); }

 private:
  const ProjectSecrets::File* find(std::string_view path) const;
  const ProjectSecrets& secrets_;
  const sources::Files& under_;
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
Result<ComposeFeed> compose_feed(const ProjectSecrets& secrets, const std::string& folder, const std::vector<std::string>& env_files, int first_descriptor = 10);

/// The variables of the sealed files as Compose reads them, in order of their names. Errors: `invalid_input` where a text cannot be read.
Result<std::vector<std::pair<std::string, SecretString>>> variables_of(const ProjectSecrets& secrets, const std::map<std::string, std::string, std::less<>>& process_environment);

}  // namespace dm::secrets

/// Secrets on their way to Compose and to containers: decrypted in memory, never a plaintext file on a disk.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io.hpp"
#include "compose/load.hpp"
#include "secrets/keyring.hpp"
#include "secrets/sops.hpp"
#include "sources/files.hpp"

namespace dm::secrets {

/// The sealed variables of a project, in the clear.
struct ProjectSecrets {
  struct File {
    std::string path;            ///< of the sealed file
    SecretString text;           ///< dotenv, as Compose is to read it
    std::string shown;           ///< the same lines with placeholders ("sealed.NAME"; plain values and small numbers as they are)
    std::vector<std::string> names;
    SecretString mark_key{};     ///< for marks of its values, of a file that only services name
    bool whole = false;          ///< sealed as one value (SOPS' binary store): it is read like the others, and not changed value by value
    bool has(std::string_view name) const { return std::ranges::find(names, name) != names.end(); }
  };
  std::vector<File> files;       ///< sorted by name, then those of --env-file that lie elsewhere; a later one wins
  std::vector<File> service_files;  ///< those that services name under `env_file:` and that are none of the above: see `load_with_values`
  /// For marks that tell whether a value changed, and say nothing else: made from the files' data keys, so that it lasts as long as they do.
  SecretString mark_key;
  bool any() const { return !files.empty() || !service_files.empty(); }
  /// Whether a variable of the project is sealed. Names in `service_files` are no variables of the project.
  bool sealed(std::string_view name) const;
  /// The sealed file of this absolute path; null where it is none.
  const File* file(std::string_view path) const;
};

/// While a rotation is under way the other value lies sealed beside NAME: the new one under NAME__NEXT until the server has it, then the old one under
/// NAME__PREVIOUS until its users run with the new. No container gets either.
inline constexpr std::string_view kNext = "__NEXT", kPrevious = "__PREVIOUS";
/// NAME of such a name; "" of any other.
std::string_view rotated_name(std::string_view name);

/// Opens every sealed env file of a project's folder, and of those that `options` names (--env-file, COMPOSE_ENV_FILES). A file that cannot be opened is
/// an error (exit 10, 11, 12), never passed over: there is no fallback to plain text. No sealed file at all is an empty value.
Result<ProjectSecrets> environment_for(const std::string& folder, const compose::Options& options, const KeySources& sources);

struct SealedFile;
/// One file that was opened already, as if it were the project's only one. Errors: `unsupported` where it holds no variables.
Result<ProjectSecrets> only(const SealedFile& file);

/// For the audit, which judges files and never shows a secret: placeholders only, also without a key. A key that can be had without asking only makes
/// small numbers (ports) real. Files that are damaged are left out.
ProjectSecrets placeholders_for(const std::string& folder, const compose::Options& options, KeySources sources);

/// A view of the disk in which the sealed files of `secrets` read as their plain text or as placeholders, for `compose::load`. `secrets` must outlive
/// it. The texts of a load with values hold secrets: a line of a file for which `secret(path)` holds must not be shown.
class UnsealedFiles final : public sources::Files {
 public:
  enum class Show { values, placeholders };
  UnsealedFiles(const ProjectSecrets& secrets, Show show, const sources::Files& under = sources::disk()) : secrets_(secrets), show_(show), under_(under) {}
  bool secret(std::string_view path) const;
  /// A file that is on no disk.
  void add(std::string path, std::string_view text, bool secret = false) { added_.insert_or_assign(std::move(path), Added{SecretString(text), secret}); }
  sources::Stat stat(const std::string& path) const override;
  Result<std::string> read(const std::string& path, std::uint64_t limit = sources::kMaxFile) const override;
  std::vector<std::string> list(const std::string& path) const override { return under_.list(path); }
  std::string canonical(const std::string& path) const override { return added_.contains(path) ? path : under_.canonical(path); }

 private:
  struct Added {
    SecretString text;
    bool secret = false;
  };
  const ProjectSecrets& secrets_;
  Show show_;
  const sources::Files& under_;
  std::map<std::string, Added, std::less<>> added_;
};

/// Loads a project of whose enabled services some may name sealed files under `env_file:`: where it does, these are opened into `secrets.service_files`, and
/// it is loaded again with their texts. `files` is a view of `secrets`. Errors: as of `environment_for`; `unsupported` where such a file is sealed as YAML, JSON
/// or INI, which Compose takes for no variables.
Result<compose::Loaded> load_with_values(const compose::Options& options, ProjectSecrets& secrets, const UnsealedFiles& files, const KeySources& sources);
/// The same with placeholders, for `placeholders_for`: what cannot be opened is left as it stands.
compose::Loaded load_with_placeholders(const compose::Options& options, ProjectSecrets& secrets, const UnsealedFiles& files, KeySources sources);

/// A sealed file that enabled services of a loaded project name under `env_file:`.
struct ServiceFile {
  std::string path;
  Store store = Store::dotenv;
  std::vector<std::string> services;
};
std::vector<ServiceFile> sealed_service_files(const compose::Project& project);

/// How to make a file that is sealed as a whole one whose values can be changed one by one.
std::string by_values_hint(std::string_view path);

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

/// The variables of the sealed files as Compose reads them, in order of their names, then those of each file that services name; references may name
/// variables of the process. Errors: `invalid_input` where a text cannot be read.
Result<std::vector<std::pair<std::string, SecretString>>> variables_of(const ProjectSecrets& secrets, const std::map<std::string, std::string, std::less<>>& process_environment);

/// Those of one of its files alone.
Result<std::vector<std::pair<std::string, SecretString>>> variables_of(const ProjectSecrets& secrets, const ProjectSecrets::File& file, const std::map<std::string, std::string, std::less<>>& process_environment);

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

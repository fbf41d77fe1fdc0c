/// Loads a Compose project as `docker compose` 2.40 does.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "compose/project.hpp"

namespace dm::compose {

struct Options {
  std::vector<std::string> files;              ///< -f; "-" is standard input (its text in `stdin_text`)
  std::string stdin_text;
  std::string project_directory;               ///< --project-directory; "" = folder of the first file
  std::string project_name;                    ///< -p
  std::vector<std::string> profiles;           ///< --profile; "*" = all
  std::vector<std::string> env_files;          ///< --env-file
  std::map<std::string, std::string, std::less<>> environment;  ///< the process's
  std::string working_directory;               ///< absolute
  bool interpolate = true;                     ///< false: the model before values are known, for printing only
  bool consistency = true;                     ///< check what refers to what
  bool unique_container_names = true;          ///< of `consistency`: two services may not share a name
  bool normalize = true;                       ///< fill in names, the default network, implied dependencies
  bool resolve_paths = true;                   ///< relative paths become absolute
  bool resolve_env_files = true;               ///< read `env_file` into `environment`
  /// For the audit: all services are kept and checked as far as possible, and what Compose would reject only for the
  /// chosen profiles (undefined references, names that clash) is a diagnostic beside a usable project.
  bool lenient = false;
};

struct Loaded {
  std::unique_ptr<Project> project;            ///< never null; incomplete where `ok` is false
  std::vector<Diagnostic> diagnostics;         ///< errors and warnings, in the order of the files
  bool ok = false;                             ///< Compose would accept it
  bool usable = false;                         ///< the typed view can be judged
};

/// The folder of the project that `load` would read; the working folder where no file is found.
std::string project_folder(const Options& options, const sources::Files& files);
/// The files that give variables: --env-file, else COMPOSE_ENV_FILES, else `.env` of `folder` where it lies there and is not switched off. Absolute.
std::vector<std::string> env_files(const Options& options, const std::string& folder, const sources::Files& files);

/// Never throws on any input, and its memory is bounded by a multiple of the input's size.
Loaded load(const Options& options, const sources::Files& files);

/// What the enabled services use of "networks", "volumes", "secrets" or "configs"; the rest is not printed.
std::set<std::string_view> used_names(const Project& project, std::string_view section);

/// The pruned model of the enabled services, as `docker compose config --format json` prints it (keys sorted).
std::string to_json(const Project& project);
/// The same as YAML.
std::string to_yaml(const Project& project);

/// What `docker compose config --hash` hashes (SHA-256) of a service: its JSON as Go writes it, without what may change without
/// creating the container again. The project must be loaded with `resolve_env_files` off.
std::string hashed_text(Project& project, const Service& service);

/// Gives a service another image, in the model and in the typed view.
void set_image(Project& project, Service& service, std::string_view image);

}  // namespace dm::compose

/// Secrets and rendered configuration in the folder that containers mount: a tmpfs, so that none of it touches a disk.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scaffold/schema.hpp"
#include "secrets/secret_string.hpp"
#include "sources/files.hpp"
#include "templates/drift.hpp"
#include "templates/template.hpp"

namespace dm::scaffold {

/// What a project's templates may use.
struct Values {
  Schema schema;                                               ///< empty where the project has no variables.yaml
  std::map<std::string, secrets::SecretString, std::less<>> settings;  ///< of .env, and defaults of the schema
  std::map<std::string, secrets::SecretString, std::less<>> secrets;   ///< of the sealed files
  bool declared(std::string_view name) const;
};

struct RunFile {
  std::string path;                                            ///< below the run folder: "secrets/x", "config/valkey/redis.acl"
  secrets::SecretString bytes;
  std::vector<std::string> names;                              ///< variables that it holds
};

struct Rendering {
  std::vector<RunFile> files;                                  ///< sorted by path
  std::vector<templates::Problem> problems;                    ///< all; where there is one, nothing may be written
};

/// Every template (`*.tmpl` below `folder`) as config/PATH, every secret of the schema as secrets/NAME (those that are `operator` may be empty; any
/// other that is not set is a problem). Reads only.
Rendering render_project(const sources::Files& files, const std::string& folder, const Values& values);

/// What lies in `run` under the names of `fresh` and `recorded`, hashed.
templates::Hashes present_hashes(const std::string& run, const std::string& key, const templates::Hashes& fresh, const templates::Hashes& recorded);
templates::Hashes hashes_of(const Rendering& rendering, const std::string& key);

/// Writes the files that differ (mode 0444 in folders of mode 0755 below `run` with mode 0700) and removes those of `recorded` that are no longer
/// made. A file is replaced as a whole. Gives the paths that changed. Errors: `unsupported` where `run` is not on a tmpfs, `denied`, `failed`.
Result<std::vector<std::string>> write_run(const std::string& run, const Rendering& rendering, const templates::Hashes& recorded);

/// Is the folder, or the nearest one above it that exists, in memory only?
bool in_memory_only(const std::string& folder);

}  // namespace dm::scaffold

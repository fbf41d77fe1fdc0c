/// What a recovery does, in order, and what is in its way. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "backup/manifest.hpp"
#include "engine/values.hpp"

namespace dm::recover {

enum class Kind : std::uint8_t {
  files,      ///< the project's own folder
  secrets,    ///< files that were sealed on their way in
  folder,     ///< a bind mount outside of the project's folder
  volume,
  offline,    ///< a datastore that is filled before its server starts
  live,       ///< a datastore that is filled by its server
};
std::string_view to_string(Kind kind);

struct Step {
  Kind kind = Kind::files;
  std::string subject{};                          ///< as in the manifest
  std::string from{};                             ///< its place then: folder, name of the volume, service
  std::string to{};                               ///< its place now; of a volume its key or name is resolved later
  std::vector<const backup::Saved*> saved{};      ///< in the order in which they come back
};

struct Wanted {
  std::string folder{};                           ///< for the project's files; "" = where they were
  std::string shelter{};                          ///< for bind mounts from outside; "" = where they were
};

/// What is on the machine already.
struct Around {
  std::set<std::string, std::less<>> filled{};    ///< folders that are not empty
  std::set<std::string, std::less<>> volumes{};   ///< names
  std::set<std::string, std::less<>> images{};    ///< references and ids that the engine has
  std::size_t containers = 0;                     ///< of the project
};

struct Plan {
  std::string folder{};
  std::vector<Step> steps{};
  std::vector<std::string> conflicts{};           ///< what is there already, and would be overwritten
  std::vector<std::string> gaps{};                ///< what this run cannot give back
  std::vector<std::string> pulls{};               ///< images that the engine does not have
  std::uint64_t bytes = 0;
};

/// Whether a datastore of this kind gets its data before its server starts.
bool filled_offline(std::string_view kind);

/// Which paths `plan` would like to know about: folders to be filled.
std::vector<std::string> places(const backup::Manifest& run, const Wanted& wanted);
Plan plan(const backup::Manifest& run, const Wanted& wanted, const Around& around);

/// The service that a container is a replica of; "" = of none.
std::string service_of(const engine::ContainerSummary& container);

/// Which volume of the rebuilt project's `containers` stands for `then`, which had no name: one at the same place of the same service that is not among `taken`,
/// since replicas have one each. "" = there is none.
std::string nameless_volume(const backup::StackRecord::Volume& then, const std::vector<engine::ContainerSummary>& containers, const std::set<std::string>& taken);

/// `path` of the old project folder in the new one; others as they are.
std::string moved(std::string_view path, std::string_view from, std::string_view to);

}  // namespace dm::recover

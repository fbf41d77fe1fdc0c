/// Revisions: what was deployed when, by whom, and how it ended; enough to bring it back. Never a secret: the model is a template
/// with holes, files that hold secrets are keyed digests only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/db.hpp"

namespace dm::state {

struct RevisionService {
  std::string service{};
  std::string image{};      ///< as the files name it
  std::string image_id{};   ///< what ran
  std::string config{};     ///< hash of its configuration, as Compose labels it
};

struct RevisionFile {
  std::string path{};       ///< on the host
  std::string digest{};     ///< keyed
  bool kept = false;        ///< `content` is its content
  std::string content{};
};

struct Revision {
  std::int64_t id = 0;
  std::int64_t at = 0, ended = 0;   ///< Unix seconds, UTC; ended 0 = still under way, or its process died
  std::string who{}, verb{};        ///< "up", "rollback to 3", "adopt"
  std::string result{};             ///< "under way", "good", "failed", "interrupted"
  std::string note{};               ///< one line: what changed, or the first cause of the failure
  std::string compose{};            ///< version of docker compose
  std::string folder{};             ///< project directory
  std::string model{};              ///< the model as JSON with holes ${DM_HOLE_N}
  std::string holes{};              ///< JSON: where the holes are, and keyed digests of what was there
  std::vector<RevisionService> services{};
  std::vector<RevisionFile> files{};
};

/// Writes the row with "under way", its services and files; gives its id.
std::int64_t begin_revision(Db& db, const Revision& revision);
/// How it ended; `services` replace those given at the begin (ids are known only now). At most `keep` revisions stay, the newest
/// good ones among them.
void end_revision(Db& db, std::int64_t id, std::string_view result, std::string_view note, const std::vector<RevisionService>& services, std::int64_t at);
/// Newest first, without model and files.
std::vector<Revision> revisions(Db& db, std::int64_t limit);
/// With everything.
std::optional<Revision> revision(Db& db, std::int64_t id);
/// The newest good one before `before` (0 = of all).
std::optional<Revision> last_good(Db& db, std::int64_t before);

/// Digests of the mounted files with which a container was created: container id -> path -> digest.
std::map<std::string, std::map<std::string, std::string>> container_files(Db& db);
void set_container_files(Db& db, std::string_view container, const std::map<std::string, std::string>& digests);
/// Forgets containers that are not in `present`.
void forget_containers(Db& db, const std::vector<std::string>& present);

/// Small facts that survive a run ("model checked"): value by key, "" where there is none.
std::string remembered(Db& db, std::string_view key);
void remember(Db& db, std::string_view key, std::string_view value);

}  // namespace dm::state

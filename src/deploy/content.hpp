/// The content of mounted configuration: the engine's own hash does not see it, so that a changed Caddyfile is invisible to Compose.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/container.hpp"
#include "state/revision.hpp"
#include "wiring/wiring.hpp"

namespace dm::deploy {

/// The key of this store's digests: 32 random bytes in FOLDER/digest.key (mode 0600), made when first asked for. A digest without
/// the key says nothing about a short secret.
Result<std::string> digest_key(const std::string& folder);
/// HMAC-SHA-256, hex.
std::string keyed_digest(std::string_view key, std::string_view bytes);

/// One file, or one folder as a whole, whose content a service reads at its start.
struct Mounted {
  std::string service{};
  std::string path{};      ///< on the host; of what lies in no file: "config NAME", "secret NAME"
  std::string what{};      ///< "config", "secret", "mount"
  bool folder = false;
  bool secret = false;     ///< its content is never kept
  std::optional<std::string> inline_content{};  ///< of `content:`, or of the variable of `environment:`, which Compose puts into the container when it starts it
};
/// What counts: what is behind `configs:` and `secrets:`; bind mounts of files that are read-only, or that are configuration by their
/// format; read-only bind mounts of folders inside the project. Not scripts that only an empty database runs, and nothing that the
/// service itself writes.
std::vector<Mounted> mounted(const wiring::Wiring& wiring);
/// Whether a secret's file is one that an up writes into memory: marks on the services tell whether it changed, and it need not be there yet.
bool delivered(const compose::Project& project, std::string_view path);

struct Digests {
  std::map<std::string, std::map<std::string, std::string>> of{};   ///< service -> path -> keyed digest
  std::vector<std::string> left_out{};                              ///< too large to be watched; paths
};
/// Reads the files. What cannot be read has no digest. Folders: at most 500 files and 8 MB.
Digests digests(const std::vector<Mounted>& list, std::string_view key);

/// Compares with what the containers were created with (`known`: container id -> path -> digest).
struct ContentChange {
  std::map<std::string, std::vector<std::string>> changed{};        ///< service -> paths
  std::vector<std::string> notes{};                                 ///< what cannot be told: created by somebody else, and the file is younger
};
ContentChange compare_content(const Digests& now, const std::map<std::string, std::map<std::string, std::string>>& known,
                              const std::vector<Container>& containers, const std::map<std::string, std::int64_t>& modified);
/// Modification times (Unix seconds) of the files in `list`, a folder's being that of its youngest file.
std::map<std::string, std::int64_t> modified(const std::vector<Mounted>& list);

/// The files for a revision: content of what is text, small, and holds no secret; digests of the rest.
std::vector<state::RevisionFile> kept_files(const std::vector<Mounted>& list, std::string_view key);

}  // namespace dm::deploy

/// Sealed files on disk: opened, changed and written as a whole. Plaintext stays in memory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "secrets/keyring.hpp"
#include "secrets/sops.hpp"
#include "secrets/sops_config.hpp"

namespace dm::secrets {

struct SealedFile {
  std::string path;
  std::string text;       ///< as read
  Opened opened;
};

/// Largest sealed file, in bytes.
inline constexpr std::uint64_t kMaxSealed = 16U << 20U;

/// Errors: `not_found` with exit 13, 11, 12, 10.
Result<SealedFile> open_sealed(const std::string& path, Keyring& keys);
/// The same for a text that was read elsewhere (git).
Result<Opened> open_sealed_text(std::string_view text, Keyring& keys);

/// Writes `plain` (leaves in the clear) over the file, under a lock, if its bytes are still those that were read. Unchanged values keep their bytes;
/// nothing is written where nothing changed (false). Errors: `conflict` (changed meanwhile).
Result<bool> save_sealed(const SealedFile& file, Document plain);

/// How a new file is to be sealed.
struct SealingPlan {
  std::vector<std::string> recipients;
  std::optional<Rule> rule;
  bool mac_only_encrypted = false;
  std::string from;       ///< "/p/.sops.yaml:3", or "the key file" where no .sops.yaml is there
};
/// From `.sops.yaml` above `file`, else for the keys of the keyring. Errors: `invalid_input` (no rule fits, key types that we cannot seal for),
/// exit 11 (nobody to seal for).
Result<SealingPlan> plan_sealing(const std::string& file, Keyring& keys);

/// Seals a plain text anew. Errors: `invalid_input` with the lines to mend, or where the rule would leave secrets in the clear.
Result<std::string> seal_text(std::string_view plain, Store store, const SealingPlan& plan);

/// The same values with the data key wrapped for `recipients` (values, MAC and time untouched).
Result<std::string> rewrap(const SealedFile& file, const std::vector<std::string>& recipients);
/// The same values under a new data key. Errors: `unsupported` where other key types would lose access.
Result<std::string> reseal(const SealedFile& file, const std::vector<std::string>& recipients);
/// Replaces `file.path` under a lock if its bytes are still those that were read.
Result<void> replace_sealed(const SealedFile& file, std::string_view text);

/// Sealed files of a folder that hold variables for Compose: `*.enc.env`, `.env.enc`, `.env.sops`, ... by content; sorted by name. A plain `app.env` is none of
/// the project's, and does not become one by being sealed.
std::vector<std::string> sealed_env_files(const sources::Files& files, const std::string& folder);

std::string now_utc();

}  // namespace dm::secrets

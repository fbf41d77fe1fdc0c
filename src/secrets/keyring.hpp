/// The identities that can open a file, found where `sops` finds them, and the data key of a file by them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.hpp"
#include "secrets/age.hpp"
#include "secrets/sops.hpp"

namespace dm::secrets {

/// Whether this process has opened a sealed file, for the metrics.
bool has_opened();

/// Asks a person without echo. Errors: `unavailable` where nobody is there to ask.
using AskPassphrase = std::function<Result<SecretString>(std::string_view what)>;

struct KeySources {
  std::map<std::string, std::string, std::less<>> environment;  ///< HOME, XDG_CONFIG_HOME, SOPS_AGE_*, CREDENTIALS_DIRECTORY
  AskPassphrase ask{};
  bool default_file = true;   ///< look at the default key file and ssh keys; off for a drill with a backup alone
};

/// ~/.config/sops/age/keys.txt, or where XDG_CONFIG_HOME or SOPS_AGE_KEY_FILE puts it; "" without a home.
std::string key_file_path(const KeySources& sources);

/// A place where keys were looked for.
struct KeySource {
  std::string name;          ///< "SOPS_AGE_KEY", "/root/.config/sops/age/keys.txt"
  bool present = false;
  std::size_t identities = 0;
  bool protected_by_passphrase = false;
};

/// Sources add up, as with `sops`: SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, the default key file, ssh keys, and
/// $CREDENTIALS_DIRECTORY/datamancy-age-key (systemd). Move-only; wiped when it goes.
class Keyring {
 public:
  /// Reads all sources but asks for no passphrase yet. Errors: `invalid_input` with place and line for a malformed key file.
  static Result<Keyring> load(KeySources sources);

  /// Tries every recipient of the file, ours first, then through the `age` program. Errors: exit 11 with what was looked at, 10 where only `age`
  /// could help and is absent or too old, 12 where a stanza is damaged.
  Result<SecretString> data_key(const Metadata& metadata);

  const std::vector<KeySource>& looked_at() const { return looked_at_; }
  /// Of the X25519 identities that are open now.
  std::vector<std::string> recipients() const;
  bool empty() const { return identities_.empty() && locked_.empty() && external_.empty() && ssh_files_.empty(); }
  /// Opens passphrase-protected key files by asking. Errors: exit 11.
  Result<void> unlock();

 private:
  Result<void> add_file(const std::string& path, std::string_view name, bool must_exist);
  Result<void> add_text(std::string_view text, std::string_view name, bool spaces);
  Result<SecretString> find_data_key(const Metadata& metadata);
  Result<SecretString> by_program(const AgeKey& key) const;

  KeySources sources_;
  std::vector<X25519Identity> identities_;
  SecretString external_;                 ///< plugin and post-quantum identities, one a line
  std::vector<std::string> ssh_files_;
  struct Locked {
    std::string name;
    std::string file;                     ///< an age file
  };
  std::vector<Locked> locked_;
  std::vector<KeySource> looked_at_;
};

/// Seals the data key for one recipient: an armored age file. Errors: `invalid_input`, exit 10 where `age` is needed and absent.
Result<std::string> wrap_data_key(const SecretString& data_key, std::string_view recipient);

/// Makes a new identity file with mode 0600 in a folder of mode 0700; never overwrites. Errors: `conflict` where it exists.
Result<std::string> create_key_file(const std::string& path);

}  // namespace dm::secrets

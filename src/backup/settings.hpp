/// What `.datamancy.yml` says about backups, and what holds where it says nothing.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backup/repository.hpp"
#include "sources/files.hpp"

namespace dm::backup {

struct RepositorySettings {
  Location location{};                   ///< without password and credentials
  std::string password_file{};           ///< one of these three; relative to the settings' folder
  std::vector<std::string> password_command{};
  std::string password_secret{};         ///< name of a sealed secret
  std::string env_file{};                ///< lines NAME=value with the backend's credentials
  std::string copy_of{};                 ///< replicate: the repository that it gets its snapshots from; "" = backups go there directly
  bool append_only = false;              ///< this host cannot delete there: nothing is ever forgotten from here
};

struct Settings {
  std::vector<RepositorySettings> repositories{};  ///< the first that is no copy takes the backups
  Retention keep{};
  std::vector<std::string> exclude{};
  std::map<std::string, std::string> tiers{};  ///< "critical" or "low" by subject or service; others are standard
  std::int64_t quiesce_limit = 300;      ///< seconds that services stand still at most
  std::int64_t objective = 24 * 3600;    ///< seconds: the recovery point
  std::string databases{"02:00"};        ///< UTC, or every "6h"
  std::string volumes{"6h"};
  bool by_default = false;               ///< nothing was configured
  const RepositorySettings* find(std::string_view name) const;
  const RepositorySettings* primary() const;
};

/// Seconds: within less no lock could be waited for.
constexpr std::int64_t kLeastStall = 20;

/// Reads the `backup:` part of `.datamancy.yml`; empty text = none. Errors name the key.
Result<Settings> parse_settings(std::string_view yaml);

/// Where backups go when nobody said: below /var/backups/datamancy as root, else below $XDG_DATA_HOME/datamancy/backups; the password
/// lies apart from them, in /etc/datamancy/backup.key or $XDG_CONFIG_HOME/datamancy/backup.key.
RepositorySettings default_repository(std::string_view project, const std::map<std::string, std::string, std::less<>>& environment, bool root);

/// Fills in password and credentials. `made` says that a password was invented and written to `password_file` (mode 0600), which only
/// happens where `invent` allows it and no such file exists. Errors: `not_found` with exit 11, `denied`, `failed`.
Result<Location> with_password(const RepositorySettings& settings, const std::string& folder, bool invent, bool& made);

/// "6h", "90m", "2d", "45s" in seconds; 0 = not understood.
std::int64_t seconds_of(std::string_view text);

}  // namespace dm::backup

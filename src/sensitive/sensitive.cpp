#include "sensitive/sensitive.hpp"

#include <algorithm>
#include <array>

namespace dm::sensitive {

bool secret_name(std::string_view variable) {
  std::string upper(variable);
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  static constexpr std::array kNot{"_FILE", "_URL", "_URI", "_PATH", "_DIR", "_EXPIRY", "_EXPIRES", "_TTL", "_LENGTH", "_ID", "_NAME",
                                   "_TIMEOUT", "_LIFETIME", "_DURATION", "_ENABLED", "_POLICY", "_HEADER", "_ALGORITHM", "_TYPE", "_ISSUER", "_USER"};
  if (std::ranges::any_of(kNot, [&](std::string_view ending) { return upper.ends_with(ending); })) return false;
  if (upper.find("PUBLIC") != std::string::npos || upper.find("ALLOW_EMPTY") != std::string::npos || upper.find("RANDOM_ROOT") != std::string::npos) return false;
  static constexpr std::array kNames{"PASSWORD", "PASSWD", "PASSPHRASE", "_SECRET", "SECRET_KEY", "_TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY",
                                     "ENCRYPTION_KEY", "ACCESS_KEY", "_PASS", "SECRET_ACCESS_KEY"};
  return std::ranges::any_of(kNames, [&](std::string_view name) { return upper.ends_with(name) || upper == name.substr(name[0] == '_' ? 1 : 0); });
}

bool looks_hashed(std::string_view value) {
  static constexpr std::array kStarts{"$2a$", "$2b$", "$2y$", "$argon2", "$5$", "$6$", "$apr1$", "$pbkdf2", "{SSHA", "{ARGON2", "{CRYPT}", "SCRAM-SHA-256$", "pbkdf2_sha256$"};
  return std::ranges::any_of(kStarts, [&](std::string_view start) { return value.starts_with(start); });
}

std::string mask(std::string_view value) { return "(" + std::to_string(value.size()) + " characters)"; }

}  // namespace dm::sensitive

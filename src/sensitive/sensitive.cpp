#include "sensitive/sensitive.hpp"

#include <algorithm>
#include <array>

namespace dm::sensitive {

bool secret_name(std::string_view variable) {
  std::string upper(variable);
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c == '-' ? '_' : c; });
  static constexpr std::array kNot{"_FILE", "_URL", "_URI", "_PATH", "_DIR", "_EXPIRY", "_EXPIRES", "_TTL", "_LENGTH", "_ID", "_NAME",
                                   "_TIMEOUT", "_LIFETIME", "_DURATION", "_ENABLED", "_POLICY", "_HEADER", "_ALGORITHM", "_TYPE", "_ISSUER", "_USER"};
  if (std::ranges::any_of(kNot, [&](std::string_view ending) { return upper.ends_with(ending); })) return false;
  if (upper.find("PUBLIC") != std::string::npos || upper.find("ALLOW_EMPTY") != std::string::npos || upper.find("RANDOM_ROOT") != std::string::npos) return false;
  if (upper.ends_with("INITIAL_CLUSTER_TOKEN")) return false;  // etcd's name for a cluster
  static constexpr std::array kNames{"PASSWORD", "PASSWD", "PASSPHRASE", "_SECRET", "SECRET_KEY", "_TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY",
                                     "ENCRYPTION_KEY", "ACCESS_KEY", "MASTER_KEY", "SIGNING_KEY", "APP_KEY", "_PASS", "SECRET_ACCESS_KEY",
                                     "SECRET_KEY_BASE", "SECRET", "_PWD", "VAULT_KEY", "CRYPTO_KEY", "ENC_KEY", "JWT_KEY", "FERNET_KEY", "DBPASS", "REDISPASS"};
  return std::ranges::any_of(kNames, [&](std::string_view name) { return upper.ends_with(name) || upper == name.substr(name[0] == '_' ? 1 : 0); });
}

bool looks_hashed(std::string_view value) {
  static constexpr std::array kStarts{"$2a$", "$2b$", "$2y$", "$argon2", "$5$", "$6$", "$apr1$", "$pbkdf2", "{SSHA", "{ARGON2", "{CRYPT}", "SCRAM-SHA-256$", "pbkdf2_sha256$"};
  return std::ranges::any_of(kStarts, [&](std::string_view start) { return value.starts_with(start); });
}

bool made_of_sealed(std::string_view value) {
  for (auto at = value.find("sealed."); at != std::string_view::npos; at = value.find("sealed.", at + 1))
    if (at == 0 || std::string_view(":/@=,; '\"").find(value[at - 1]) != std::string_view::npos) return true;
  return false;
}

bool looks_sealed(std::string_view value) { return value.starts_with("ENC[AES256_GCM,") || value.starts_with("sealed."); }

std::string mask(std::string_view value) { return "(" + std::to_string(value.size()) + " characters)"; }

std::string mask_line(std::string_view line) {
  std::string out(line);
  const auto word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  const auto hide = [&](std::size_t begin, std::size_t end) {
    if (begin < end && out[begin] != '$') std::fill(out.begin() + static_cast<std::ptrdiff_t>(begin), out.begin() + static_cast<std::ptrdiff_t>(end), '*');
  };
  for (std::size_t i = 0; i < line.size();) {
    if (!word(line[i])) {
      ++i;
      continue;
    }
    const auto begin = i;
    while (i < line.size() && word(line[i])) ++i;
    if (!secret_name(line.substr(begin, i - begin))) continue;
    auto at = i;
    while (at < line.size() && (line[at] == '"' || line[at] == '\'' || line[at] == ' ')) ++at;
    if (at >= line.size() || (line[at] != ':' && line[at] != '=')) continue;
    for (++at; at < line.size() && (line[at] == ' ' || line[at] == '"' || line[at] == '\'');) ++at;
    const auto end = std::min(line.find_first_of("\"',}]", at), line.size());
    hide(at, end);
    i = std::max(i, end);
  }
  for (auto at = line.find("://"); at != std::string_view::npos; at = line.find("://", at + 3)) {
    const auto rest = line.substr(at + 3);
    const auto sign = rest.substr(0, rest.find_first_of("/ \"'")).rfind('@');
    const auto colon = rest.find(':');
    if (sign != std::string_view::npos && colon < sign) hide(at + 3 + colon + 1, at + 3 + sign);
  }
  return out;
}

}  // namespace dm::sensitive

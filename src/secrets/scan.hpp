/// Finds secrets that lie in plain text: by the structure of files, not by entropy. Pure; the values never leave except as marks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "secrets/secret_string.hpp"

namespace dm::secrets {

enum class LeakRule : std::uint8_t {
  literal,       ///< a name that says secret, with a literal value
  weak,          ///< the same with a value that everybody tries first, or that a documentation gives
  fallback,      ///< ${DB_PASSWORD:-default}: works without the secret
  url,           ///< scheme://user:password@
  command,       ///< a password as an argument of a program
  shape,         ///< a token or private key by its own form
  sealed,        ///< a value that is sealed elsewhere stands open here
  hash,          ///< a hash of a password
};
struct LeakRuleText {
  LeakRule rule;
  std::string_view id, severity, says, mend;
};
const LeakRuleText& about(LeakRule rule);
const std::vector<LeakRuleText>& leak_rules();

struct Leak {
  LeakRule rule = LeakRule::literal;
  std::string path;
  std::size_t line = 0;       ///< 1-based
  std::string name;           ///< of the variable, key, flag or kind of token
  SecretString value;
  std::string severity;       ///< that of the rule, or "info" in a sample file
  std::string commit;         ///< where it stands in git history only
  std::string note;
  /// Two characters and the length: enough to find it, too little to use it.
  std::string shown() const;
};

/// What lies in the clear in one file. Comment "datamancy:allow-secret WHY" on a line lets it be. Files that are sealed, binary or over 4 MiB have nothing.
std::vector<Leak> scan_file(std::string_view path, std::string_view text);
/// Places where one of `sealed` (name and value; of at least eight characters) stands in the text.
std::vector<Leak> scan_for(std::string_view path, std::string_view text, const std::vector<std::pair<std::string, SecretString>>& sealed);
/// Not worth reading: vendored folders, lock files, pictures.
bool scan_skips(std::string_view path);
/// Made to be copied and filled in (".env.example"): what stands there is a sample.
bool scan_sample(std::string_view path);

/// The parts, for tests.
bool secret_variable(std::string_view name);
enum class ValueKind { nothing, reference, hash, weak, literal };
/// `certain`: it is a variable's value, so that four words are a passphrase and no sentence.
ValueKind value_kind(std::string_view value, bool certain = false);
std::optional<std::pair<std::string_view, std::string_view>> known_shape(std::string_view text, std::size_t from);  ///< kind and text

}  // namespace dm::secrets

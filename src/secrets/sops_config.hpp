/// `.sops.yaml`: for whom, and by which rule, a new file is sealed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "secrets/sops.hpp"
#include "sources/files.hpp"

namespace dm::secrets {

struct CreationRule {
  std::string path_regex;             ///< "" = every file
  std::optional<Pattern> path{};
  std::vector<std::string> age{};     ///< recipients
  std::optional<Rule> rule{};
  bool mac_only_encrypted = false;
  std::vector<std::string> unsupported{};  ///< key types that we cannot seal for
  std::size_t line = 0;
};
struct SopsConfig {
  std::string path;                   ///< of the .sops.yaml; "" = none was found
  std::vector<CreationRule> rules;
  /// The first rule that fits an absolute path.
  const CreationRule* rule_for(std::string_view file) const;
};

/// Errors: `invalid_input` with file and line.
Result<SopsConfig> parse_sops_config(std::string_view text, std::string path);
/// A `.sops.yaml` whose one rule seals files with the names that are ours (NAME.enc.env, NAME.enc.yaml, ...) for `recipients`.
std::string sops_config_text(const std::vector<std::string>& recipients);
/// Looks from the folder of `file` (absolute) upwards, at most 100 levels.
Result<SopsConfig> find_sops_config(const sources::Files& files, std::string_view file);

}  // namespace dm::secrets

/// The rule over what git history holds: plain data in, findings out. It is a rule as all others (id, words, examples), but files alone cannot tell.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/rule.hpp"

namespace dm::audit {

/// One secret that a commit brought and that is not in the files any more, or only where git does not have it. Never its value.
struct PastSecret {
  std::string path{};      ///< absolute, in the work tree
  std::string file{};      ///< the same as people are told it
  std::size_t line = 0;    ///< in that commit
  std::string name{};      ///< of the variable, flag or kind of token
  std::string kind{};      ///< "a secret stands here in plain text"
  Severity severity = Severity::high;
  std::string shown{};     ///< "aG... (20 characters)"
  std::string commit{};    ///< "726f682e1a"; where none is known the object's id
  std::string date{};      ///< of the commit, "2026-11-26"; "" = an object that no commit brought
  bool token = false;      ///< issued by somebody: it is revoked there
  bool in_use = false;     ///< the same value stands in the file today
};

/// One finding for what one commit brought into one file; ordered as those of `audit`.
std::vector<Finding> audit_history(const Input& input, std::vector<PastSecret> secrets);

/// Where in history a finding of that rule is about; empty for all others. The place of the finding may be the compose file, since the file may be gone.
struct PastPlace {
  std::string_view file{};
  std::string_view commit{};
};
PastPlace past_place(const Finding& finding);

}  // namespace dm::audit

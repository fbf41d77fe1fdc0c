/// What `audit` and `report` share: a project loaded leniently and judged by every rule.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "audit/rule.hpp"
#include "cli/live.hpp"
#include "cli/verbs.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {

struct Judged {
  secrets::ProjectSecrets sealed;      ///< placeholders only
  std::unique_ptr<secrets::UnsealedFiles> files;
  compose::Loaded loaded;
  product::Catalogue products;
  wiring::Wiring wiring;
  std::optional<facts::Facts> facts;   ///< of the running stack, where asked for
  std::vector<audit::Finding> findings;
  audit::Input input() const;  ///< only where `loaded.usable`
};

/// Takes `--baseline` and the operand PATH (a folder or a compose file) out of `args`. Usage errors are printed; false then.
bool take_path(Args& args, std::string_view verb, std::string& baseline);
/// Loads, judges and suppresses; false after printing the diagnostics where the project cannot be judged.
bool judge(Args& args, const std::string& baseline, Judged& out, const LiveOptions& live = {});
/// Says on standard error what the verb does not know; gives the exit status.
int unknown(std::string_view verb, std::string_view word);

}  // namespace dm::cli

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
  bool blind = false;                  ///< something was not read that belongs to the project; said already
  int exit = 2;                        ///< status of a verb that was blind, or could not judge
  audit::Input input() const;  ///< only where `loaded.usable`
};

/// Takes the operand PATH (a folder, a compose file, or "-" for standard input) out of `args`. It says which project is meant, whatever COMPOSE_FILE
/// of the environment says; what `-f`, `--env-file` and `--project-directory` name in the current folder stays that. False after a usage error.
bool take_path(Args& args, std::string_view verb);
/// Loads, judges and suppresses; false after printing the diagnostics where the project cannot be judged.
/// `history`: git history is looked at too; where that cannot be done it is said, and the rest is judged.
bool judge(Args& args, const std::string& baseline, Judged& out, const LiveOptions& live = {}, bool history = false);
/// Says on standard error what the verb does not know, or that an option of it lacks its value; gives the exit status.
int unknown(std::string_view verb, std::string_view word);
/// The same for a value that `option` of the verb does not take, with those that it does.
int bad_value(std::string_view verb, std::string_view option, std::string_view value);

}  // namespace dm::cli

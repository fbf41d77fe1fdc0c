/// `--live`, `--facts FILE` and `--save-facts FILE` of the verbs that judge: where their facts come from.
#pragma once

#include <optional>
#include <string>

#include "cli/verbs.hpp"
#include "facts/facts.hpp"

namespace dm::cli {

struct LiveOptions {
  bool live = false;
  std::string facts_file{};
  std::string save_file{};
  bool wanted() const { return live || !facts_file.empty(); }
};

/// Takes the options out of `args`. False after saying which of them exclude each other.
bool take_live(Args& args, LiveOptions& out);
/// Observes `project` (of the options `given`) or reads the file; saves where asked to. Nothing where none is wanted. The error says how to mend it.
Result<std::optional<facts::Facts>> get_facts(const Args& args, const compose::Options& given, const LiveOptions& options, const compose::Project& project);

}  // namespace dm::cli

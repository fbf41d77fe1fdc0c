/// What a project has decided to live with: inline comments, `.datamancy.yml`, a baseline file. Nothing disappears: a
/// suppressed finding keeps its place in every output, with the reason; it only does not count.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/rule.hpp"
#include "base/result.hpp"

namespace dm::audit {

/// One entry of `.datamancy.yml`.
struct Exception {
  std::string rule;      ///< id or name
  std::string service;   ///< "" = any
  std::string file;      ///< relative to the project folder; "" = any. In git history FILE@COMMIT, too
  std::string reason;    ///< never empty
  std::string where;     ///< ".datamancy.yml:3"
};

/// Reads `.datamancy.yml`: `suppress:` holds a list of {rule, service, file, reason}. Errors name the line.
Result<std::vector<Exception>> parse_exceptions(std::string_view text, std::string_view name);

/// So many findings of a rule on a service in a file were known when the baseline was written.
struct Known {
  std::string rule, file, service;
  std::size_t count = 0;
};
/// Reads what `baseline` wrote. Errors name the line.
Result<std::vector<Known>> parse_baseline(std::string_view text, std::string_view name);
/// Everything that counts now, as JSON; holds no text of the files, so no secret.
std::string baseline(const Input& input, const std::vector<Finding>& findings);

struct Suppressions {
  std::vector<Exception> exceptions;
  std::vector<Known> known;
};

/// Marks what is suppressed. A finding at several places is divided where only some of them are. Gives warnings: inline
/// comments without a reason or rule (they do nothing), exceptions that match nothing.
///
/// Inline: `# datamancy: ignore DM0601 DM0605: why` at the end of the finding's line, or alone on the line above it.
std::vector<std::string> suppress(const Input& input, Suppressions suppressions, std::vector<Finding>& findings);

}  // namespace dm::audit

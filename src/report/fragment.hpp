/// What to add to the project where the mend is the same for many services.
#pragma once

#include <string>
#include <vector>

#include "audit/rule.hpp"

namespace dm::report {

/// Compose YAML that, given as one more `-f` file, removes the findings of `rule` on these services; services for which
/// no figure is known stand in it as comments. "" for rules whose mend needs a person.
std::string fragment(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services);

/// The same mend as a unified diff of the files as they are, for `patch -p1` in the project's folder: a line below the name of each service that is
/// written in block form and has no such key yet. "" where there is none, and for very many services, where a diff helps nobody.
std::string unified_diff(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services);

/// The same as lines that are put in: in the order of files and lines.
struct Insertion {
  sources::FileId file = sources::kNoFile;
  std::size_t line = 1;  ///< 1-based; the text goes before it
  std::string text;      ///< a whole line
};
std::vector<Insertion> insertions(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services);

}  // namespace dm::report

/// Configuration templates: `@{name}`, `@{name | filter | ...}`, and `@@{` for a literal `@{`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dm::templates {

struct Problem {
  std::string file;
  std::size_t line = 0, column = 0;   ///< 1-based; columns count bytes
  std::string message;                ///< never holds a value
  std::string describe() const;       ///< "synapse/homeserver.yaml.tmpl:31:15: ..."
};

/// The value of a variable: nothing where the name is unknown, "" where it is known and unset.
using Lookup = std::function<std::optional<std::string_view>(std::string_view name)>;

struct Rendered {
  std::string text;                   ///< may hold secrets: whoever takes it wipes it; meaningless where there are problems
  std::vector<std::string> names;     ///< variables that were used, each once, in order of appearance
  std::vector<Problem> problems;      ///< all of the file
};

/// Replaces every placeholder. A name that is unknown or unset, a filter that is unknown or refuses the value, a value that needs a filter and
/// has none, and a placeholder that does not end on its line are problems. The filter `optional` (first) lets an unset value be empty.
Rendered render(std::string_view file, std::string_view text, const Lookup& lookup);

/// A similar name among `known`, for a hint; "" where none is near.
std::string nearest(std::string_view name, const std::vector<std::string>& known);

}  // namespace dm::templates

/// Byte-exact edits of a text. Everything an edit does not name stays as it was.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/span.hpp"

namespace dm::text {

/// Replace `where` by `with`. An empty span inserts.
struct Edit {
  Span where;
  std::string with;
};

/// Applies all `edits` to `source` at once; their order does not matter.
/// Errors: `conflict` if two edits overlap, `invalid_input` if one lies outside.
Result<std::string> apply(std::string_view source, std::vector<Edit> edits);

}  // namespace dm::text

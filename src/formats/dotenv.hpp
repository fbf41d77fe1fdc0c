/// `.env` and `env_file` files as docker compose reads them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/span.hpp"

namespace dm::formats {

struct DotenvEntry {
  std::string key;
  std::string value;        ///< expanded, unquoted
  bool inherits = false;    ///< `KEY` alone: the value comes from elsewhere
  text::Span key_span;
  text::Span value_span;    ///< with its quotes
};

struct DotenvError {
  text::Span where;
  std::string message;
};

struct Dotenv {
  std::vector<DotenvEntry> entries;   ///< in file order, repeated keys kept
  std::vector<DotenvError> errors;    ///< the file is unusable where there is one
};

/// Replaces variables in `raw`; false where they are malformed. `so_far` are the entries above.
using Expand = std::function<bool(std::string_view raw, const std::vector<DotenvEntry>& so_far, std::string& out)>;

/// Never fails as a whole: what could be read is returned beside the errors.
Dotenv parse_dotenv(std::string_view text, const Expand& expand);
/// `format: raw`: everything after '=' is the value.
Dotenv parse_dotenv_raw(std::string_view text);

}  // namespace dm::formats

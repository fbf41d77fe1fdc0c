/// nginx configuration as a tree of directives.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/span.hpp"

namespace dm::formats {

struct NginxWord {
  std::string text;   ///< unquoted; variables such as `$host` stay as written
  text::Span where;   ///< with quotes
};

struct NginxDirective {
  NginxWord name;
  std::vector<NginxWord> arguments;
  bool has_block = false;
  std::vector<NginxDirective> block;
  NginxWord code;     ///< the body of a `..._by_lua_block`, not parsed
  text::Span where;   ///< from the name to ';' or '}'
};

/// Errors: `invalid_input` with the line: no ';', a brace or quote without its other, nesting deeper than 100.
Result<std::vector<NginxDirective>> parse_nginx(std::string_view text);

}  // namespace dm::formats

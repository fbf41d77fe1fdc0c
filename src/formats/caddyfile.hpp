/// Caddyfiles: sites and their directives as Caddy sees them, after variables and snippets, with places in the file.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/span.hpp"

namespace dm::formats {

struct CaddyToken {
  std::string text;           ///< unquoted; a heredoc without its margin
  /// As written, with quotes; the whole `{$NAME}` where a variable gave a part of it; the argument of `import` where all of
  /// a snippet's word is `{args[N]}`.
  text::Span where;
  char quote = 0;             ///< '"', '`', '<' (heredoc) or 0
  bool starts_line = false;
};

struct CaddyDirective {
  CaddyToken name;
  std::vector<CaddyToken> arguments;    ///< the matcher too
  bool has_block = false;
  std::vector<CaddyDirective> block;
  /// The first argument where it is a matcher: `*`, `/path` or `@name`; null for others and for matcher definitions.
  const CaddyToken* matcher() const;
};

struct CaddySite {
  std::vector<CaddyToken> addresses;    ///< without their commas
  bool named_route = false;             ///< `&(name)`, not served by itself
  std::vector<CaddyDirective> directives;
};

/// `import FILE`: what stands in these files is not part of the result.
struct CaddyImport {
  CaddyToken pattern;
};

struct CaddyError {
  text::Span where;
  std::string message;
};

struct Caddyfile {
  std::vector<CaddyDirective> options;  ///< the global block
  std::vector<CaddySite> sites;
  std::vector<CaddyImport> imports;
  std::vector<CaddyError> errors;       ///< Caddy refuses the file where there is one; what was read until there is kept
};

/// Value of an environment variable; nullopt where it is not set, so that its default counts.
using CaddyLookup = std::function<std::optional<std::string>(std::string_view name)>;

/// Without `lookup`, `{$NAME:default}` stays in the texts as written. Memory stays within a multiple of the text's size.
Caddyfile parse_caddyfile(std::string_view text, const CaddyLookup& lookup = {});

/// The tokens of a text whose variables are replaced; problems are added to `errors`. For parse_caddyfile and tests.
std::vector<CaddyToken> caddy_tokens(std::string_view text, const CaddyLookup& lookup, std::vector<CaddyError>& errors);

}  // namespace dm::formats

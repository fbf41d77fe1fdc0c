/// Configuration files of many formats in one flat form, for those who ask "which file names this host?".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/span.hpp"

namespace dm::formats {

enum class Format : std::uint8_t { unknown, caddyfile, nginx, yaml, json, toml, ini, xml, env };

/// "caddyfile", "nginx", ...; "" for unknown.
std::string_view to_string(Format format);

/// By the file's name first, then by a look at the content.
Format detect_format(std::string_view path, std::string_view content);

/// One value. Keys join the names on the way with dots: `server.ports.0`, `http.server.location.proxy_pass`,
/// `site.reverse_proxy`, `root.item.@id`. Keys repeat where a format repeats names; names that hold dots are not escaped.
struct Setting {
  std::string key;
  std::string value;        ///< unquoted and unescaped
  text::Span value_span;    ///< as written, with quotes; empty where nothing is written
};

/// All values in the order of the file. YAML aliases are left out, its keys that are no scalars become "?"; Caddy's imports
/// of snippets are expanded.
/// Errors: `unsupported` for Format::unknown, `invalid_input` with the line where the text cannot be read, is nested deeper
/// than 100, or would grow far beyond its own size.
Result<std::vector<Setting>> read_settings(Format format, std::string_view text);

}  // namespace dm::formats

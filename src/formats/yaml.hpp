/// A small YAML reader for data files of ours and mounted configuration: nodes with byte spans, nothing of Compose.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "text/span.hpp"

namespace dm::formats {

struct YamlEntry;

struct YamlNode {
  enum class Kind : unsigned char { scalar, sequence, mapping } kind = Kind::scalar;
  std::string text;                                        ///< of a scalar
  bool quoted = false;
  text::Span where;                                        ///< offsets count code points where the text is not ASCII
  std::size_t line = 0;                                    ///< 1-based
  std::vector<YamlNode> items;                             ///< of a sequence
  std::vector<YamlEntry> entries;                          ///< of a mapping
  const YamlNode* find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  YamlNode value;
};

/// The first document. Aliases are refused. Errors: `invalid_input` with the line; depth is at most 100.
Result<YamlNode> parse_yaml(std::string_view text);

}  // namespace dm::formats

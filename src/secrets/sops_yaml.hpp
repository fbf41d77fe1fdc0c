/// YAML of the SOPS store with places: values, comments and the `sops:` blocks. Internal to the module.
#pragma once

#include <string_view>
#include <vector>

#include "secrets/sops.hpp"

namespace dm::secrets {

struct YamlBlock {      ///< a `sops:` entry of one document
  text::Span where;     ///< from its key to the end of its last value, without the line end
  std::size_t indent = 4;
};
struct YamlText {
  Document document;
  std::vector<YamlBlock> blocks;
  std::vector<std::uint32_t> ends;   ///< of the documents that have keys: behind their last content
};

/// `plain`: a text that is to be sealed. Then what SOPS reads otherwise, or not at all, is refused as `invalid_input`; errors of sealed files are exit 12.
Result<YamlText> parse_yaml(std::string_view text, bool plain);

}  // namespace dm::secrets

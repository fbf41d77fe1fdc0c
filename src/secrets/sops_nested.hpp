/// What the JSON and YAML stores share. Internal to the module.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "secrets/sops.hpp"
#include "text/edit.hpp"

namespace dm::secrets {

/// Metadata as a tree, made from flattened names; keys sorted as SOPS writes them.
struct MetaNode {
  std::string text;                          ///< of a scalar
  std::map<std::string, MetaNode> map;
  std::map<long, MetaNode> list;
  bool scalar() const { return map.empty() && list.empty(); }
};
MetaNode metadata_tree(const Metadata& metadata);
/// True for what is written without quotes (booleans of ours).
bool bare_metadata(std::string_view name);

/// As Go prints it with 'f' and the shortest precision: no exponent. Nothing where it is no finite number.
std::string float_text(double value);
/// Appends `text` as JSON as Go's encoder does: also < > & as \u003c.
void go_json_quote(std::string& out, std::string_view text);

/// `document.source` with every leaf whose text changed, and `block` (byte range) replaced. `quote` writes a leaf's text.
template <class Quote>
Result<std::string> edited_source(const Document& document, const Document& original, const std::vector<text::Edit>& blocks, Quote&& quote) {
  auto edits = blocks;
  for (std::size_t i = 0; i < document.leaves.size() && i < original.leaves.size(); ++i) {
    const auto& leaf = document.leaves[i];
    if (leaf.text == original.leaves[i].text) continue;
    edits.push_back({leaf.where, quote(leaf)});
  }
  return text::apply(document.source, std::move(edits));
}

}  // namespace dm::secrets

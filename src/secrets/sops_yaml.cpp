// Values of YAML files are replaced where they stand, so that comments and layout stay.
#include <fmt/format.h>

#include <algorithm>

#include "base/yaml_writer.hpp"
#include "secrets/sops_nested.hpp"
#include "secrets/sops_yaml.hpp"

namespace dm::secrets {
namespace {

void pad(std::string& out, std::size_t columns) { out.append(columns, ' '); }

void write_scalar(std::string& out, std::string_view name, const std::string& text, std::size_t column) {
  if (bare_metadata(name)) out += " " + text;
  else if (text.find('\n') != std::string::npos && text.ends_with('\n')) {
    out += " |";
    std::string_view rest = text;
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      out += '\n';
      if (end != 0) pad(out, column + 2);
      out += rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  } else if (text.starts_with("ENC[") || (text.starts_with("age1") && text.size() > 8)) {
    out += " " + text;  // as SOPS has them
  } else {
    out += ' ';
    if (name == "lastmodified" || text.find('\n') != std::string::npos) go_json_quote(out, text);
    else yaml_scalar(out, text, 0);
  }
}

/// Members of a mapping whose first key stands at the present position in column `column`.
void write_map(std::string& out, const MetaNode& node, std::size_t column, std::size_t unit) {
  bool first = true;
  for (const auto& [key, child] : node.map) {
    if (!first) {
      out += '\n';
      pad(out, column);
    }
    first = false;
    out += key + ":";
    if (child.scalar()) write_scalar(out, key, child.text, column);
    else if (!child.list.empty()) {
      for (const auto& [index, item] : child.list) {
        out += '\n';
        pad(out, column + unit);
        out += "-";
        if (item.scalar()) write_scalar(out, key, item.text, column + unit);
        else {
          out += ' ';
          write_map(out, item, column + unit + 2, unit);
        }
      }
    } else {
      out += '\n';
      pad(out, column + unit);
      write_map(out, child, column + unit, unit);
    }
  }
}

std::string sops_block(const Metadata& metadata, std::size_t indent) {
  std::string out = "sops:\n";
  pad(out, indent);
  write_map(out, metadata_tree(metadata), indent, indent);
  return out;
}

/// The column in which the key or dash of a value's line begins.
std::size_t indent_of(std::string_view source, std::size_t at) {
  const auto begin = source.rfind('\n', at);
  auto i = begin == std::string_view::npos ? 0 : begin + 1;
  const auto line = i;
  while (i < at && (source[i] == ' ' || (source[i] == '-' && i + 1 < source.size() && source[i + 1] == ' '))) ++i;
  return i - line;
}

std::string plain_value(const OpenLeaf& value, std::string_view source, std::size_t at, bool flow = false) {
  switch (value.type) {
    case LeafType::boolean: return value.plain.reveal() == "True" ? "true" : "false";
    case LeafType::integer:
    case LeafType::floating:
    case LeafType::time: return std::string(value.plain.reveal());
    case LeafType::str:
    case LeafType::bytes:
    case LeafType::comment: break;
  }
  std::string out;
  if (flow) go_json_quote(out, value.plain.reveal());  // [...] and {...} have no blocks
  else yaml_scalar(out, value.plain.reveal(), indent_of(source, at) + 2);
  return out;
}

/// Behind the line on which a document's last value ends, and the comments that follow it.
std::size_t behind_comments(std::string_view source, std::size_t end) {
  const auto next_line = [&](std::size_t at) { return std::min(std::min(source.find('\n', at), source.size()) + 1, source.size()); };
  auto out = end > 0 && source[end - 1] == '\n' ? end : next_line(end);  // the end of a block is the next line's begin
  for (auto at = out; at < source.size(); at = next_line(at)) {
    const auto first = source.find_first_not_of(" \n", at);
    if (first == std::string_view::npos || source[first] != '#') break;
    out = next_line(first);
    at = first;
  }
  return out;
}

/// The text that a leaf becomes in the file: sealed, or in the clear.
std::string leaf_text(const Leaf& leaf, std::string_view source) {
  const auto text = leaf.text.reveal();
  // A block of several lines ends with its last line end, what takes its place has none.
  const bool block = leaf.where.size() > 0 && source[leaf.where.end - 1] == '\n';
  if (leaf.type == LeafType::comment || text.starts_with("ENC[")) return (leaf.in_flow ? fmt::format("\"{}\"", text) : std::string(text)) + (block ? "\n" : "");
  return plain_value({SecretString(text), leaf.type, false}, source, leaf.where.begin, leaf.in_flow) + (block ? "\n" : "");
}

}  // namespace

Result<std::string> stores::write_yaml(const Document& document) {
  DM_TRY(const auto original, parse_yaml(document.source, document.from_plain));
  std::vector<text::Edit> edits;
  for (const auto& block : original.blocks) edits.push_back({block.where, sops_block(document.sops, block.indent)});
  if (original.blocks.empty()) {
    for (const auto end : original.ends) {
      const auto at = static_cast<std::uint32_t>(behind_comments(document.source, end));
      const bool broken = at > 0 && document.source[at - 1] != '\n';
      edits.push_back({{at, at}, (broken ? "\n" : "") + sops_block(document.sops, 4) + "\n"});
    }
  }
  for (std::size_t i = 0; i < document.leaves.size() && i < original.document.leaves.size(); ++i) {
    const auto& leaf = document.leaves[i];
    if (leaf.text == original.document.leaves[i].text) continue;
    // A comment among the elements of a list is sealed as one of them, as SOPS does it.
    const bool element = leaf.type == LeafType::comment && leaf.in_list && leaf.text.reveal().starts_with("ENC[");
    if (element) edits.push_back({{leaf.where.begin - 1, leaf.where.end}, "- " + leaf_text(leaf, document.source)});
    else edits.push_back({leaf.where, leaf_text(leaf, document.source)});
  }
  return text::apply(document.source, std::move(edits));
}

SecretString stores::plain_yaml(const Opened& opened) {
  const std::string_view source = opened.document.source;
  const auto parsed = parse_yaml(source, false);
  if (!parsed) return {};
  SecretString out;
  std::size_t at = 0;
  std::size_t block = 0;
  const auto copy_to = [&](std::size_t end) {
    for (; block < parsed->blocks.size() && parsed->blocks[block].where.end <= end; ++block) {
      out.append(source.substr(at, parsed->blocks[block].where.begin - at));
      at = std::min<std::size_t>(parsed->blocks[block].where.end + 1, source.size());  // with its line end
    }
    if (end > at) out.append(source.substr(at, end - at));
    at = std::max(at, end);
  };
  for (std::size_t i = 0; i < opened.values.size(); ++i) {
    const auto& value = opened.values[i];
    const auto& leaf = opened.document.leaves[i];
    if (value.type == LeafType::comment && leaf.type != LeafType::comment) {  // one that stands as an element of a list: "- ENC[...]"
      std::size_t begin = leaf.where.begin;
      while (begin > 0 && (source[begin - 1] == ' ' || source[begin - 1] == '-') && source[begin] != '-') --begin;
      copy_to(begin);
      out.append('#');
      out.append(value.plain.reveal());
    } else {
      copy_to(leaf.where.begin);
      if (!value.sealed) {
        out.append(source.substr(leaf.where.begin, leaf.where.size()));
      } else if (value.type == LeafType::comment) {
        out.append(value.plain.reveal());
      } else {
        auto text = plain_value(value, source, leaf.where.begin, leaf.in_flow);
        out.append(text);
        wipe(text);
      }
    }
    at = leaf.where.end;
  }
  copy_to(source.size());
  return out;
}

}  // namespace dm::secrets

// YAML files are read with libyaml's events; values are replaced where they stand, so that comments and layout stay.
#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>

#include "base/yaml_writer.hpp"
#include "secrets/crypto.hpp"
#include "secrets/sops_nested.hpp"
#include "secrets/yaml_types.hpp"

namespace dm::secrets {
namespace {

using Flat = std::vector<std::pair<std::string, std::string>>;

struct Block {          ///< a `sops:` entry of one document
  text::Span where;     ///< from its key to the end of its last value, without the line end
  std::size_t indent = 4;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {
    if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return;
    for (std::size_t i = text.starts_with("\xEF\xBB\xBF") ? 3 : 0; i < text.size(); ++i)
      if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80) offsets_.push_back(static_cast<std::uint32_t>(i));
    offsets_.push_back(static_cast<std::uint32_t>(text.size()));
  }
  ~Reader() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<Document> read() {
    Document out{Store::yaml, {}, {}, false, std::string(text_)};
    document_ = &out;
    if (yaml_parser_initialize(&parser_) == 0) return undecryptable("YAML: no memory");
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text_.data()), text_.size());
    if (!stream()) return undecryptable(fmt::format("line {}: YAML: {}", line_, what_.empty() ? "malformed" : what_));
    if (blocks.empty()) return undecryptable("it has no 'sops' block");
    DM_TRY(out.sops, read_metadata(flat_));
    out.has_sops = true;
    return out;
  }
  std::vector<Block> blocks;

 private:
  bool wrong(std::string_view what) {
    if (what_.empty()) what_ = what;
    return false;
  }
  bool next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) == 0) {
      line_ = parser_.problem_mark.line + 1;
      return wrong(parser_.problem != nullptr ? parser_.problem : "malformed");
    }
    line_ = event_.start_mark.line + 1;
    return true;
  }
  std::uint32_t offset(std::size_t index) const {
    if (offsets_.empty()) return static_cast<std::uint32_t>(std::min(index, text_.size()));
    return offsets_[std::min(index, offsets_.size() - 1)];
  }
  std::string scalar_text() const { return {reinterpret_cast<const char*>(event_.data.scalar.value), event_.data.scalar.length}; }

  bool stream() {
    if (!next()) return false;
    for (;;) {
      if (!next()) return false;
      if (event_.type == YAML_STREAM_END_EVENT) return true;
      if (event_.type != YAML_DOCUMENT_START_EVENT) return wrong("no document");
      if (!next()) return false;
      if (event_.type == YAML_SCALAR_EVENT && event_.data.scalar.length == 0) {  // an empty document
      } else if (event_.type != YAML_MAPPING_START_EVENT) {
        return wrong("a document is no mapping");
      } else if (!mapping(true)) {
        return false;
      }
      if (!next()) return false;  // document end
    }
  }

  /// After the mapping's start event; ends having read its end event.
  bool mapping(bool top) {
    for (;;) {
      if (!next()) return false;
      if (event_.type == YAML_MAPPING_END_EVENT) return true;
      if (event_.type != YAML_SCALAR_EVENT) return wrong("a key is no text");
      const auto key = scalar_text();
      const auto key_at = offset(event_.start_mark.index);
      if (!next()) return false;
      if (top && key == "sops") {
        Block block;
        block.where = {key_at, key_at};
        last_scalar_end_ = key_at + 4;
        const bool first = blocks.empty();
        if (!metadata("", first, 0, &block)) return false;
        block.where.end = last_scalar_end_;
        while (block.where.end > block.where.begin && text_[block.where.end - 1] == '\n') --block.where.end;
        blocks.push_back(block);
        continue;
      }
      path_.push_back(key);
      const bool fine = node();
      path_.pop_back();
      if (!fine) return false;
    }
  }

  /// The current event begins a value.
  bool node() {
    if (++depth_ > 500) return wrong("nested too deeply");
    struct Leave {
      int& depth;
      ~Leave() { --depth; }
    } leave{depth_};
    switch (event_.type) {
      case YAML_MAPPING_START_EVENT: return mapping(false);
      case YAML_SEQUENCE_START_EVENT:
        for (;;) {
          if (!next()) return false;
          if (event_.type == YAML_SEQUENCE_END_EVENT) return true;
          if (!node()) return false;
        }
      case YAML_SCALAR_EVENT: return scalar();
      case YAML_ALIAS_EVENT: return wrong("an alias; SOPS writes none");
      case YAML_NO_EVENT:
      case YAML_STREAM_START_EVENT:
      case YAML_STREAM_END_EVENT:
      case YAML_DOCUMENT_START_EVENT:
      case YAML_DOCUMENT_END_EVENT:
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT: break;
    }
    return wrong("unexpected structure");
  }

  bool scalar() {
    Leaf leaf;
    leaf.path = path_;
    leaf.line = event_.start_mark.line + 1;
    leaf.where = {offset(event_.start_mark.index), offset(event_.end_mark.index)};
    auto text = scalar_text();
    const std::string_view tag = event_.data.scalar.tag != nullptr ? reinterpret_cast<const char*>(event_.data.scalar.tag) : "";
    if (event_.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && tag != "tag:yaml.org,2002:str") {
      const auto typed = yaml_type(text);
      if (typed.null) return true;
      leaf.type = typed.type;
      text = typed.text;
    }
    if (tag == "tag:yaml.org,2002:binary") {
      std::erase_if(text, [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; });
      const auto bytes = unbase64(text, true);
      if (!bytes) return wrong("!!binary without base64");
      text = *bytes;
    }
    leaf.text = SecretString::take(std::move(text));
    document_->leaves.push_back(std::move(leaf));
    return true;
  }

  bool metadata(const std::string& name, bool keep, int depth, Block* block) {
    if (depth > 20) return wrong("metadata nested too deeply");
    if (event_.type == YAML_SCALAR_EVENT) {
      last_scalar_end_ = offset(event_.end_mark.index);
      auto text = scalar_text();
      const bool null = event_.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (text.empty() || text == "null" || text == "~");
      if (keep && !null) flat_.emplace_back(name, std::move(text));
      return true;
    }
    if (event_.type == YAML_SEQUENCE_START_EVENT) {
      for (int i = 0;; ++i) {
        if (!next()) return false;
        if (event_.type == YAML_SEQUENCE_END_EVENT) {
          if (i == 0) last_scalar_end_ = offset(event_.end_mark.index);
          return true;
        }
        if (!metadata(fmt::format("{}__list_{}", name, i), keep, depth + 1, nullptr)) return false;
      }
    }
    if (event_.type != YAML_MAPPING_START_EVENT) return wrong("malformed metadata");
    for (bool first = true;; first = false) {
      if (!next()) return false;
      if (event_.type == YAML_MAPPING_END_EVENT) return true;
      if (event_.type != YAML_SCALAR_EVENT) return wrong("malformed metadata");
      if (first && block != nullptr && event_.start_mark.column > 0) block->indent = event_.start_mark.column;
      const auto key = scalar_text();
      if (!next()) return false;
      if (!metadata(name.empty() ? key : name + "__map_" + key, keep, depth + 1, nullptr)) return false;
    }
  }

  std::string_view text_;
  std::vector<std::uint32_t> offsets_;   // of code points, where the text is not ASCII
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  std::size_t line_ = 1;
  std::uint32_t last_scalar_end_ = 0;
  int depth_ = 0;
  std::string what_;
  std::vector<std::string> path_;
  Flat flat_;
  Document* document_ = nullptr;
};

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

std::string plain_value(const OpenLeaf& value, std::string_view source, std::size_t at) {
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
  yaml_scalar(out, value.plain.reveal(), indent_of(source, at) + 2);
  return out;
}

/// Decrypts "#ENC[...]" between `from` and `to`; the additional data is the path of what contains it, which is tried out.
void append_with_comments(SecretString& out, std::string_view text, const Opened& opened, const std::set<std::string>& paths) {
  for (;;) {
    const auto begin = text.find("#ENC[AES256_GCM,");
    if (begin == std::string_view::npos) break;
    const auto end = std::min(text.find('\n', begin), text.size());
    out.append(text.substr(0, begin + 1));
    const auto sealed = text.substr(begin + 1, end - begin - 1);
    std::optional<SecretString> plain;
    if (const auto parts = parse_sealed_value(sealed)) {
      for (auto path = paths.begin(); path != paths.end() && !plain; ++path) plain = gcm_open(opened.data_key, parts->iv, *path, parts->data, parts->tag);
    }
    out.append(plain ? plain->reveal() : sealed);
    text.remove_prefix(end);
  }
  out.append(text);
}

}  // namespace

Result<Document> stores::read_yaml(std::string_view text) { return Reader(text).read(); }

Result<std::string> stores::write_yaml(const Document& document) {
  Reader reader(document.source);
  DM_TRY(const auto original, reader.read());
  std::vector<text::Edit> blocks;
  for (const auto& block : reader.blocks) blocks.push_back({block.where, sops_block(document.sops, block.indent)});
  return edited_source(document, original, blocks, [&](const Leaf& leaf) {
    if (leaf.text.reveal().starts_with("ENC[")) return std::string(leaf.text.reveal());
    return plain_value({SecretString(leaf.text.reveal()), leaf.type, false}, document.source, leaf.where.begin);
  });
}

SecretString stores::plain_yaml(const Opened& opened) {
  const std::string_view source = opened.document.source;
  Reader reader(source);
  if (!reader.read()) return {};
  std::set<std::string> paths{":"};
  for (const auto& leaf : opened.document.leaves)
    for (std::size_t depth = 1; depth <= leaf.path.size(); ++depth) paths.insert(aad_of({leaf.path.begin(), leaf.path.begin() + static_cast<std::ptrdiff_t>(depth)}));
  SecretString out;
  std::size_t at = 0;
  std::size_t block = 0;
  const auto copy_to = [&](std::size_t end) {
    for (; block < reader.blocks.size() && reader.blocks[block].where.end <= end; ++block) {
      append_with_comments(out, source.substr(at, reader.blocks[block].where.begin - at), opened, paths);
      at = std::min<std::size_t>(reader.blocks[block].where.end + 1, source.size());  // with its line end
    }
    if (end > at) append_with_comments(out, source.substr(at, end - at), opened, paths);
    at = std::max(at, end);
  };
  for (std::size_t i = 0; i < opened.values.size(); ++i) {
    const auto& value = opened.values[i];
    const auto& where = opened.document.leaves[i].where;
    std::size_t begin = where.begin;
    if (value.type == LeafType::comment) {  // a comment that stands as an element of a list: "- ENC[...]"
      while (begin > 0 && (source[begin - 1] == ' ' || source[begin - 1] == '-') && source[begin] != '-') --begin;
    }
    copy_to(begin);
    if (value.type == LeafType::comment) {
      out.append('#');
      out.append(value.plain.reveal());
    } else if (value.sealed) {
      auto text = plain_value(value, source, where.begin);
      out.append(text);
      wipe(text);
    } else {
      out.append(source.substr(where.begin, where.size()));
    }
    at = where.end;
  }
  copy_to(source.size());
  return out;
}

}  // namespace dm::secrets

// YAML files are read with libyaml's events, which know the place of every value. Comments, which they leave out, are found between these places.
#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "secrets/crypto.hpp"
#include "secrets/sops_yaml.hpp"
#include "secrets/yaml_types.hpp"

namespace dm::secrets {
namespace {

using Flat = std::vector<std::pair<std::string, std::string>>;

class Reader {
 public:
  Reader(std::string_view text, bool plain) : text_(text), plain_(plain) {
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

  Result<YamlText> read() {
    out_.document = {Store::yaml, {}, {}, false, std::string(text_)};
    if (yaml_parser_initialize(&parser_) == 0) return trouble("no memory");
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text_.data()), text_.size());
    if (plain_ && text_.find('\r') != std::string_view::npos) return trouble("a CR; save with LF line ends");
    if (!stream()) return trouble(what_.empty() ? "malformed" : what_);
    add_comments();
    if (plain_) return std::move(out_);
    if (out_.blocks.empty()) return undecryptable("it has no 'sops' block");
    DM_TRY(out_.document.sops, read_metadata(flat_));
    out_.document.has_sops = true;
    return std::move(out_);
  }

 private:
  /// Where a key or an element begins, and in which collection.
  struct Item {
    std::uint32_t begin = 0;
    std::size_t column = 0;
    std::vector<std::string> path;   ///< of the collection
    bool element = false;            ///< of a list in block style
  };

  tl::unexpected<Error> trouble(std::string_view what) const {
    const auto message = fmt::format("line {}: YAML: {}", line_, what);
    if (plain_) return fail(Errc::invalid_input, message);
    return undecryptable(message);
  }
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
  text::Span span() const { return {offset(event_.start_mark.index), offset(event_.end_mark.index)}; }
  std::string scalar_text() const { return {reinterpret_cast<const char*>(event_.data.scalar.value), event_.data.scalar.length}; }
  std::string_view tag() const { return event_.data.scalar.tag != nullptr ? reinterpret_cast<const char*>(event_.data.scalar.tag) : ""; }
  std::size_t line_begin(std::size_t at) const {
    const auto end = at == 0 ? std::string_view::npos : text_.rfind('\n', at - 1);
    return end == std::string_view::npos ? 0 : end + 1;
  }

  bool stream() {
    if (!next()) return false;
    for (;;) {
      if (!next()) return false;
      if (event_.type == YAML_STREAM_END_EVENT) return true;
      if (event_.type != YAML_DOCUMENT_START_EVENT) return wrong("no document");
      if (!next()) return false;
      if (!plain_ && event_.type == YAML_SCALAR_EVENT && event_.data.scalar.length == 0) {  // an empty document
        if (!next()) return false;
        continue;
      }
      if (event_.type != YAML_MAPPING_START_EVENT) return wrong("a document is no mapping");
      if (plain_ && event_.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE) return wrong("a document in {...}; write one key to a line");
      end_ = offset(event_.start_mark.index);
      if (!mapping(true) || !next()) return false;  // document end
      out_.ends.push_back(end_);
    }
  }

  bool key_is_fine(const std::string& key, std::set<std::string>& keys) {
    if (!plain_) return true;
    const bool bare = event_.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (bare && key == "<<") return wrong("a merge key, which SOPS would write out");
    if (const auto typed = yaml_type(key); bare && (typed.null || typed.type != LeafType::str)) return wrong("a key that is no text; put it in quotes");
    return keys.insert(key).second ? true : wrong(fmt::format("'{}' is set twice", key));
  }

  /// After the mapping's start event; ends having read its end event.
  bool mapping(bool top) {
    std::set<std::string> keys;
    for (;;) {
      if (!next()) return false;
      if (event_.type == YAML_MAPPING_END_EVENT) {
        if (flow_ > 0) end_ = std::max(end_, span().end);
        return true;
      }
      if (event_.type != YAML_SCALAR_EVENT) return wrong("a key is no text");
      const auto key = scalar_text();
      const auto where = span();
      if (!key_is_fine(key, keys)) return false;
      end_ = where.end;
      if (top && key == "sops") {
        if (plain_) return wrong("it has a key 'sops', which is metadata of sealed files");
        if (!next()) return false;
        YamlBlock block;
        last_scalar_end_ = where.begin + 4;
        if (!metadata("", out_.blocks.empty(), 0, &block)) return false;
        block.where = {where.begin, last_scalar_end_};
        while (block.where.end > block.where.begin && text_[block.where.end - 1] == '\n') --block.where.end;
        taken_.push_back(block.where);
        out_.blocks.push_back(block);
        end_ = block.where.end;
        continue;
      }
      taken_.push_back(where);
      items_.push_back({where.begin, event_.start_mark.column, path_, false});  // counting back in one long line would be quadratic
      if (!next()) return false;
      path_.push_back(key);
      const bool fine = node();
      path_.pop_back();
      if (!fine) return false;
    }
  }

  bool sequence(bool flow) {
    for (;;) {
      if (!next()) return false;
      if (event_.type == YAML_SEQUENCE_END_EVENT) {
        if (flow) end_ = std::max(end_, span().end);
        return true;
      }
      const auto begin = offset(event_.start_mark.index);
      auto dash = static_cast<std::size_t>(begin);
      while (!flow && dash > 0 && text_[dash] != '-' && text_[dash] != '\n') --dash;
      items_.push_back({begin, flow ? event_.start_mark.column : dash - line_begin(dash), path_, !flow});
      if (!node()) return false;
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
      case YAML_MAPPING_START_EVENT: {
        const bool flow = event_.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
        flow_ += flow ? 1 : 0;
        const bool fine = mapping(false);
        flow_ -= flow ? 1 : 0;
        return fine;
      }
      case YAML_SEQUENCE_START_EVENT: {
        const bool flow = event_.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
        flow_ += flow ? 1 : 0;
        const bool fine = sequence(flow);
        flow_ -= flow ? 1 : 0;
        return fine;
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
    leaf.where = span();
    leaf.in_flow = flow_ > 0;
    taken_.push_back(leaf.where);
    end_ = std::max(end_, leaf.where.end);
    auto text = scalar_text();
    const auto tagged = tag();
    if (plain_ && !tagged.empty() && tagged != "!" && tagged != "tag:yaml.org,2002:str") return wrong("a tag; write the value without");
    if (plain_ && event_.data.scalar.anchor != nullptr) return wrong("an anchor; SOPS writes none");
    if (event_.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && tagged != "tag:yaml.org,2002:str") {
      const auto typed = yaml_type(text);
      if (typed.null) return true;
      if (std::int64_t whole = 0; plain_ && typed.type == LeafType::integer && std::from_chars(typed.text.data(), typed.text.data() + typed.text.size(), whole).ec != std::errc{})
        return wrong("a number that SOPS cannot hold; put it in quotes");
      if (plain_ && typed.type == LeafType::floating && (text.find_first_not_of("0123456789_") == std::string::npos || typed.text.ends_with("Inf")))
        return wrong("digits that would come back as another number; put them in quotes");
      leaf.type = typed.type;
      text = typed.text;
    }
    if (tagged == "tag:yaml.org,2002:binary") {
      std::erase_if(text, [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; });
      const auto bytes = unbase64(text, true);
      if (!bytes) return wrong("!!binary without base64");
      text = *bytes;
    }
    leaf.text = SecretString::take(std::move(text));
    out_.document.leaves.push_back(std::move(leaf));
    return true;
  }

  bool metadata(const std::string& name, bool keep, int depth, YamlBlock* block) {
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

  /// What stands behind a '#' outside of all values; as leaves in the order of the file.
  void add_comments() {
    std::vector<Leaf> comments;
    std::size_t line = 1, item = 0, taken = 0;
    std::unordered_map<std::size_t, std::size_t> newest;  // column -> the last item there, of those before the comment
    for (std::size_t at = 0; at < text_.size(); ++at) {
      while (taken < taken_.size() && taken_[taken].end <= at) ++taken;
      if (taken < taken_.size() && at >= taken_[taken].begin) {
        line += static_cast<std::size_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at), text_.begin() + taken_[taken].end, '\n'));
        at = taken_[taken].end - 1;
        continue;
      }
      if (text_[at] == '\n') ++line;
      if (text_[at] != '#' || (at > 0 && text_[at - 1] != ' ' && text_[at - 1] != '\t' && text_[at - 1] != '\n')) continue;
      const auto end = std::min(text_.find('\n', at), text_.size());
      for (; item < items_.size() && items_[item].begin < at; ++item) newest.insert_or_assign(items_[item].column, item);
      Leaf leaf;
      leaf.type = LeafType::comment;
      leaf.line = line;
      leaf.where = {static_cast<std::uint32_t>(at + 1), static_cast<std::uint32_t>(end)};
      leaf.text = SecretString(text_.substr(at + 1, end - at - 1));
      if (const auto* of = owner(at, item, newest); of != nullptr) {
        leaf.path = of->path;
        leaf.in_list = of->element && of->column == at - line_begin(at) && text_.substr(line_begin(at), at - line_begin(at)).find_first_not_of(' ') == std::string_view::npos;
      }
      comments.push_back(std::move(leaf));
      at = end - 1;
    }
    auto& leaves = out_.document.leaves;
    leaves.insert(leaves.end(), std::make_move_iterator(comments.begin()), std::make_move_iterator(comments.end()));
    std::ranges::stable_sort(leaves, {}, [](const Leaf& leaf) { return leaf.where.begin; });
  }

  /// The item whose collection a comment belongs to; `next` is the first item behind it. Null = the document.
  const Item* owner(std::size_t at, std::size_t next, const std::unordered_map<std::size_t, std::size_t>& newest) const {
    const auto column = at - line_begin(at);
    const bool behind_something = text_.substr(at - column, column).find_first_not_of(' ') != std::string_view::npos;
    if (behind_something) return next > 0 ? &items_[next - 1] : nullptr;
    if (next < items_.size() && items_[next].column >= column) return &items_[next];
    if (const auto found = newest.find(column); found != newest.end()) return &items_[found->second];  // at the end of a collection
    return next < items_.size() ? &items_[next] : nullptr;
  }

  std::string_view text_;
  bool plain_;
  std::vector<std::uint32_t> offsets_;   // of code points, where the text is not ASCII
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  std::size_t line_ = 1;
  std::uint32_t last_scalar_end_ = 0, end_ = 0;
  int depth_ = 0, flow_ = 0;
  std::string what_;
  std::vector<std::string> path_;
  std::vector<text::Span> taken_;        // keys, values, blocks: no comment begins there
  std::vector<Item> items_;
  Flat flat_;
  YamlText out_;
};

}  // namespace

Result<YamlText> parse_yaml(std::string_view text, bool plain) { return Reader(text, plain).read(); }

Result<Document> stores::read_yaml(std::string_view text) {
  DM_TRY(auto parsed, parse_yaml(text, false));
  return std::move(parsed.document);
}

Result<Document> stores::read_plain_yaml(std::string_view text) {
  DM_TRY(auto parsed, parse_yaml(text, true));
  parsed.document.from_plain = true;
  return std::move(parsed.document);
}

}  // namespace dm::secrets

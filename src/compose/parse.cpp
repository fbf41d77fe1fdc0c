#include <fmt/format.h>
#include <yaml.h>

#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "compose/scalars.hpp"
#include "compose/stages.hpp"
#include "compose/syntax.hpp"
#include "compose/units.hpp"

namespace dm::compose {
namespace {

constexpr int kMaxDepth = 1000;               // deeper nesting makes libyaml itself take quadratic time
constexpr std::size_t kMaxBytes = 48U << 20U;  // a compose file of 50 MB is a mistake
constexpr std::size_t kMaxCopied = 4'000'000;  // nodes made by aliases: an alias bomb ends here

constexpr std::string_view kStandardTag = "tag:yaml.org,2002:";
constexpr std::string_view kBom = "\xEF\xBB\xBF";

std::size_t boms_end(std::string_view text) {
  std::size_t end = 0;
  while (text.substr(end).starts_with(kBom)) end += kBom.size();
  return end;
}

/// libyaml counts code points of what it is given, which is the text without its BOMs; we count bytes of the whole.
class Offsets {
 public:
  explicit Offsets(std::string_view text) : text_(text), ascii_(true), byte_(boms_end(text)) {
    for (const char c : text) ascii_ = ascii_ && static_cast<unsigned char>(c) < 0x80U;
  }
  /// Marks come almost in order, so we walk from the last one.
  std::uint32_t at(std::size_t mark) {
    if (ascii_) return static_cast<std::uint32_t>(std::min(mark, text_.size()));
    while (point_ > mark) back();
    while (point_ < mark && byte_ < text_.size()) forward();
    return static_cast<std::uint32_t>(byte_);
  }

 private:
  static bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }
  void forward() {
    do ++byte_;
    while (byte_ < text_.size() && continues(text_[byte_]));
    ++point_;
  }
  void back() {
    do --byte_;
    while (byte_ > 0 && continues(text_[byte_]));
    --point_;
  }
  std::string_view text_;
  bool ascii_;
  std::size_t point_ = 0;
  std::size_t byte_;
};

bool valid_utf8(std::string_view text, std::size_t& bad) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t more = c < 0x80 ? 0 : (c >> 5U) == 6 ? 1 : (c >> 4U) == 14 ? 2 : (c >> 3U) == 30 ? 3 : 9;
    bad = i;
    if (more == 9 || i + more >= text.size() + (more == 0 ? 1 : 0)) return false;
    for (std::size_t k = 1; k <= more; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80U) return false;
    i += more + 1;
  }
  return true;
}

struct Anchor {
  Value* value = nullptr;
  std::size_t nodes = 0;
};

struct ParserDeleter {
  void operator()(yaml_parser_t* parser) const {
    yaml_parser_delete(parser);
    delete parser;
  }
};

class Reader {
 public:
  Reader(FileId file, Context& context)
      : file_(file), context_(context), text_(context.project.texts.at(file).content), offsets_(text_) {}

  std::vector<Value*> documents() {
    std::vector<Value*> out;
    if (!readable()) return out;
    parser_.reset(new yaml_parser_t);
    yaml_parser_initialize(parser_.get());
    // With a BOM before it libyaml would have the first line begin in column 1 and reject a second top-level key.
    const std::string_view body = std::string_view(text_).substr(boms_end(text_));
    yaml_parser_set_encoding(parser_.get(), YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser_.get(), reinterpret_cast<const unsigned char*>(body.data()), body.size());
    while (next()) {
      if (event_.type == YAML_STREAM_END_EVENT) break;
      if (event_.type == YAML_DOCUMENT_START_EVENT) {
        if (const auto* version = event_.data.document_start.version_directive;
            version != nullptr && (version->major != 1 || version->minor != 1)) {
          context_.error(span(event_), "found incompatible YAML document", "remove the %YAML line");
          break;
        }
        if (!next()) break;
        Value* root = node(0);
        if (failed_) break;
        out.push_back(root);
      }
    }
    clear();
    return out;
  }

 private:
  bool readable() {
    const auto at = [&](std::size_t i) {
      return Location{file_, {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(std::min(i + 1, text_.size()))}};
    };
    if (text_.size() > kMaxBytes) {
      context_.error(at(0), fmt::format("file is too large for a compose file ({} bytes)", text_.size()),
                     "split it with include, or check that this is the right file");
      return false;
    }
    if (const auto nul = text_.find('\0'); nul != std::string_view::npos) {
      context_.error(at(nul), "file holds a NUL byte, so it is not YAML text", "is this a binary file, or UTF-16?");
      return false;
    }
    if (std::size_t bad = 0; !valid_utf8(text_, bad)) {
      context_.error(at(bad), "file is not valid UTF-8 here", "save it as UTF-8");
      return false;
    }
    return true;
  }

  Location span(const yaml_event_t& event) {
    const auto begin = offsets_.at(event.start_mark.index);
    return {file_, {begin, std::max(begin, offsets_.at(event.end_mark.index))}};
  }

  void clear() {
    if (have_) yaml_event_delete(&event_);
    have_ = false;
  }

  /// Takes the next event; on a syntax error reports it and returns false.
  bool next() {
    clear();
    if (failed_) return false;
    if (yaml_parser_parse(parser_.get(), &event_) == 0) {
      const auto words = [](const char* text) { return text != nullptr ? std::string_view(text) : std::string_view(); };
      auto said = explain({words(parser_->problem), words(parser_->context), offsets_.at(parser_->problem_mark.index),
                           offsets_.at(parser_->context_mark.index), quote_.begin, quote_.end}, text_);
      const auto begin = static_cast<std::uint32_t>(said.at);
      stop({file_, {begin, std::min(begin + 1, static_cast<std::uint32_t>(text_.size()))}}, std::move(said.message), std::move(said.hint));
      return false;
    }
    have_ = true;
    return true;
  }

  void stop(Location where, std::string message, std::string hint) {
    failed_ = true;
    context_.error(where, std::move(message), std::move(hint));
  }

  void remember(const yaml_char_t* anchor, Value* value, std::size_t before) {
    if (anchor != nullptr) anchors_[reinterpret_cast<const char*>(anchor)] = {value, made_ - before};
  }

  static Tag tag_of(const yaml_char_t* tag) {
    if (tag == nullptr) return Tag::none;
    const std::string_view name(reinterpret_cast<const char*>(tag));
    return name == "!reset" ? Tag::reset : name == "!override" ? Tag::override_ : Tag::none;
  }

  /// The node that starts with the present event.
  Value* node(int depth) {  // NOLINT(misc-no-recursion): depth is bounded
    ++made_;
    const std::size_t before = made_ - 1;
    if (depth > kMaxDepth) {
      stop(span(event_), fmt::format("nested deeper than {} levels", kMaxDepth), "no compose file needs this");
      return context_.project.arena.make(Kind::null);
    }
    if (event_.type == YAML_ALIAS_EVENT) return alias();
    if (event_.type == YAML_SCALAR_EVENT) return scalar(before);
    const bool list = event_.type == YAML_SEQUENCE_START_EVENT;
    if (list || event_.type == YAML_MAPPING_START_EVENT) {
      const bool flow = list ? event_.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE : event_.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
      flow_ += flow ? 1 : 0;
      Value* value = list ? sequence(depth, before) : mapping(depth, before);
      flow_ -= flow ? 1 : 0;
      return value;
    }
    return context_.project.arena.make(Kind::null);
  }

  Value* scalar(std::size_t before) { return scalar(before, context_.project.arena.make(Kind::string)); }

  /// Fills `value` from the present event.
  Value* scalar(std::size_t before, Value* value) {
    auto& arena = context_.project.arena;
    const auto& scalar = event_.data.scalar;
    value->where = span(event_);
    const std::string_view decoded{reinterpret_cast<const char*>(scalar.value), scalar.length};
    auto written = source(value->where);
    if (written.size() == decoded.size() + 2) written = written.substr(1, decoded.size());
    value->text = written == decoded ? written : arena.keep(decoded);  // most are in the file just so
    if ((scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE || scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE) && event_.end_mark.line > event_.start_mark.line)
      quote_ = value->where.span;
    value->plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
    value->tag = tag_of(scalar.tag);
    const std::string_view tag = scalar.tag != nullptr ? reinterpret_cast<const char*>(scalar.tag) : "";
    if (value->plain && (tag.empty() || !tag.starts_with(kStandardTag))) {
      if (const auto time = time_of(value->text)) {
        value->tag = value->tag == Tag::none ? Tag::date : value->tag;
        value->text = arena.keep(*time);
      } else {
        resolve_scalar(value->text, *value);
      }
    } else if (tag.starts_with(kStandardTag)) {
      tagged(*value, tag.substr(kStandardTag.size()));
    }
    if (scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE && has_slash_escape(source(value->where)))
      stop(value->where, "found unknown escape character '\\/' in a double-quoted text", "write '/' without the backslash");
    if (flow_ > 0 && value->plain && value->text.find('?') != std::string_view::npos)  // libyaml accepts it, Compose's parser does not
      stop(value->where, fmt::format("did not find expected ',' or the closing bracket: '?' in '{}'", value->text), "quote it");
    remember(scalar.anchor, value, before);
    return value;
  }

  /// `!!int "5"`: the text must be of the kind that the tag names.
  void tagged(Value& value, std::string_view name) {
    auto& arena = context_.project.arena;
    if (name == "binary") {
      if (const auto bytes = decode_base64(value.text)) value.text = arena.keep(*bytes);
      else stop(value.where, "!!binary value contains invalid base64 data", "correct it, or remove the tag");
    } else if (name == "timestamp") {
      const auto time = time_of(value.text);
      if (time) value.tag = Tag::date, value.text = arena.keep(*time);
      else stop(value.where, fmt::format("'{}' is no time", value.text), "remove the tag !!timestamp");
    } else if (name == "int" || name == "float" || name == "bool" || name == "null") {
      resolve_scalar(value.text, value);
      if (name == "float" && value.kind == Kind::integer) {
        value.real = static_cast<double>(value.integer);
        value.kind = Kind::real;
      }
      const auto kind = name == "int" ? Kind::integer : name == "float" ? Kind::real : name == "bool" ? Kind::boolean : Kind::null;
      if (value.kind != kind) stop(value.where, fmt::format("cannot decode '{}' as a !!{}", value.text, name), "correct it, or remove the tag");
    }
  }

  Value* sequence(int depth, std::size_t before) {  // NOLINT(misc-no-recursion)
    Value* value = context_.project.arena.make(Kind::sequence, span(event_));
    value->tag = tag_of(event_.data.sequence_start.tag);
    const std::string anchor =
        event_.data.sequence_start.anchor != nullptr ? reinterpret_cast<const char*>(event_.data.sequence_start.anchor) : "";
    const auto base = items_.size();
    while (next() && event_.type != YAML_SEQUENCE_END_EVENT) {
      Value* item = node(depth + 1);
      items_.push_back(item);
    }
    value->items->assign(items_.begin() + static_cast<std::ptrdiff_t>(base), items_.end());
    items_.resize(base);
    if (have_ && !failed_) value->where.span.end = end_of(value->items->empty() ? 0U : value->items->back()->where.span.end);
    if (!anchor.empty()) anchors_[anchor] = {value, made_ - before};
    return value;
  }

  static bool has_slash_escape(std::string_view text) {
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
      if (text[i] != '\\') continue;
      if (text[i + 1] == '/') return true;
      ++i;
    }
    return false;
  }

  std::string_view source(const Location& where) const { return text_.substr(where.span.begin, where.span.size()); }

  /// Where the collection ends whose end event is the present one: at its bracket, or where its last part ends.
  std::uint32_t end_of(std::uint32_t last_part) {
    const auto flow_end = offsets_.at(event_.end_mark.index);
    return event_.end_mark.index > event_.start_mark.index || last_part == 0 ? flow_end : last_part;
  }

  Value* alias() {
    const std::string name = reinterpret_cast<const char*>(event_.data.alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) {
      stop(span(event_), fmt::format("unknown anchor '{}' referenced", name), fmt::format("define it before with &{}", name));
      return context_.project.arena.make(Kind::null);
    }
    copied_ += found->second.nodes;
    made_ += found->second.nodes;
    if (copied_ > kMaxCopied) {
      stop(span(event_), "document contains excessive aliasing", "an alias of an alias of an alias multiplies: unroll it");
      return context_.project.arena.make(Kind::null);
    }
    Value* copy = context_.project.arena.clone(*found->second.value);
    strip_reset(*copy, 0);
    const auto link = static_cast<std::uint32_t>(context_.project.links.size());
    context_.project.links.push_back({Link::Kind::alias, 0, span(event_)});
    copy->chain = link;
    return copy;
  }

  /// `!reset` inside an anchor is lost where the alias is used.
  static void strip_reset(Value& value, int depth) {  // NOLINT(misc-no-recursion): bounded by the parser
    if (value.tag == Tag::reset && depth > 0) value.tag = Tag::none;
    if (value.is_sequence())
      for (Value* item : *value.items) strip_reset(*item, depth + 1);
    if (value.is_mapping())
      for (Entry& entry : *value.entries) strip_reset(*entry.value, depth + 1);
  }

  Value* mapping(int depth, std::size_t before) {  // NOLINT(misc-no-recursion)
    auto& arena = context_.project.arena;
    Value* value = arena.make(Kind::mapping, span(event_));
    value->tag = tag_of(event_.data.mapping_start.tag);
    const std::string anchor =
        event_.data.mapping_start.anchor != nullptr ? reinterpret_cast<const char*>(event_.data.mapping_start.anchor) : "";
    Value* merged = nullptr;
    Location merge_where;
    std::unordered_set<std::string_view> seen;
    const auto base = entries_.size();
    while (next() && event_.type != YAML_MAPPING_END_EVENT) {
      // A key is no value of the tree, so it takes no room in the arena; only one with an anchor lives on.
      Value own;
      own.kind = Kind::string;
      const bool plain_key = event_.type == YAML_SCALAR_EVENT && event_.data.scalar.anchor == nullptr;
      Value* key = plain_key ? scalar(made_++, &own) : node(depth + 1);
      if (failed_) return value;
      if (key->is_sequence() || key->is_mapping()) {
        stop(key->where, "a key must be a string", "quote it");
        return value;
      }
      const bool merge_key = key->plain && key->text == "<<";
      if (!merge_key && (key->kind != Kind::string || key->tag == Tag::date)) {
        stop(key->where, fmt::format("non-string key '{}'", source(key->where)), fmt::format("quote it: \"{}\"", source(key->where)));
        return value;
      }
      if (merge_key ? merged != nullptr : !fresh(base, seen, key->text)) {
        stop(key->where, fmt::format("mapping key '{}' already defined", key->text), "remove one of the two");
        return value;
      }
      if (!next()) return value;
      Value* content = node(depth + 1);
      if (failed_) return value;
      if (merge_key) {
        merged = content;
        merge_where = key->where;
      } else {
        entries_.push_back({key->text, key->where, content});
      }
    }
    if (failed_ || !have_) return value;
    value->where.span.end = end_of(entries_.size() > base ? std::max(entries_.back().value->where.span.end, entries_.back().key_where.span.end) : 0U);
    if (merged != nullptr) merge_in(base, *merged, merge_where, seen);
    // The arena never gives back what a growing vector leaves behind: exact, with room where later steps add to it.
    const auto count = entries_.size() - base;
    value->entries->reserve(count + (depth == 2 ? 5 : 0));
    value->entries->assign(entries_.begin() + static_cast<std::ptrdiff_t>(base), entries_.end());
    entries_.resize(base);
    if (!anchor.empty()) anchors_[anchor] = {value, made_ - before};
    return value;
  }

  /// Is the key not yet among those of the open mapping? Small ones are searched, wide ones indexed.
  bool fresh(std::size_t base, std::unordered_set<std::string_view>& seen, std::string_view key) const {
    const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(base);
    if (entries_.size() - base < 12) return std::none_of(first, entries_.end(), [&](const Entry& entry) { return entry.key == key; });
    if (seen.empty())
      for (auto entry = first; entry != entries_.end(); ++entry) seen.insert(entry->key);
    return seen.insert(key).second;
  }

  void merge_in(std::size_t base, Value& from, Location where, std::unordered_set<std::string_view>& seen) {
    std::vector<Value*> maps;
    if (from.is_mapping()) maps.push_back(&from);
    else if (from.is_sequence()) maps.assign(from.items->begin(), from.items->end());
    if (maps.empty() || !std::all_of(maps.begin(), maps.end(), [](const Value* map) { return map->is_mapping(); })) {
      stop(where, "map merge requires map or sequence of maps as the value", "give << an alias of a mapping");
      return;
    }
    for (const Value* map : maps) {
      for (const Entry& entry : *map->entries) {
        if (!fresh(base, seen, entry.key)) continue;  // own keys and earlier maps win
        Entry copy = entry;
        if (copy.value->chain == 0) copy.value->chain = map->chain;
        entries_.push_back(copy);
      }
    }
  }

  FileId file_;
  Context& context_;
  std::string_view text_;
  Offsets offsets_;
  std::unique_ptr<yaml_parser_t, ParserDeleter> parser_;
  yaml_event_t event_{};
  bool have_ = false;
  bool failed_ = false;
  text::Span quote_{0, 0};  // the last quoted text over several lines: where a quote was forgotten, it is this
  int flow_ = 0;  // open [ and {
  std::size_t made_ = 0, copied_ = 0;
  std::vector<Value*> items_;  // of the sequences that are open, outermost first
  std::vector<Entry> entries_;  // of the mappings that are open, outermost first
  std::unordered_map<std::string, Anchor> anchors_;
};

}  // namespace

void Context::error(Location where, std::string message, std::string hint) {
  diagnostics.push_back({Trouble::error, where, std::move(message), std::move(hint)});
}

void Context::warn(Location where, std::string message, std::string hint) {
  diagnostics.push_back({Trouble::warning, where, std::move(message), std::move(hint)});
}

bool Context::failed() const {
  for (const Diagnostic& diagnostic : diagnostics)
    if (diagnostic.severity == Trouble::error) return true;
  return false;
}

std::vector<Value*> parse_documents(FileId file, Context& context) {
  return Reader(file, context).documents();
}

}  // namespace dm::compose

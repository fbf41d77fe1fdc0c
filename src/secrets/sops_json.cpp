// A JSON reader that keeps places: values are edited where they stand.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>

#include "secrets/sops_nested.hpp"

namespace dm::secrets {
namespace {

using Flat = std::vector<std::pair<std::string, std::string>>;

class Reader {
 public:
  explicit Reader(std::string_view text, bool plain = false) : text_(text), plain_(plain) {}

  Result<Document> read() {
    Document out{Store::json, {}, {}, false, {}};
    document_ = &out;
    space();
    if (!object_of_values(/*top=*/true)) return error();
    space();
    if (at_ != text_.size()) return wrong("something follows the object"), error();
    if (plain_) {
      if (has_sops_) return fail(Errc::invalid_input, "it has a key 'sops', which is metadata of sealed files");
      out.source = text_;
      out.from_plain = true;
      return out;
    }
    if (!has_sops_) return undecryptable("it has no 'sops' object");
    DM_TRY(out.sops, read_metadata(flat_));
    out.has_sops = true;
    out.source = text_;
    const bool rule_less_binary = out.leaves.size() == 1 && out.leaves[0].path == std::vector<std::string>{"data"} && keys_ == 2;
    if (rule_less_binary && out.leaves[0].type == LeafType::str) out.store = Store::binary;
    return out;
  }
  text::Span sops_span{};  ///< of the value of "sops"
  std::string indent;      ///< white space before the key "sops", or before the first key
  std::size_t closed = 0;  ///< the top level's '}'

 private:
  bool wrong(std::string_view what) {
    if (what_.empty()) what_ = what;
    return false;
  }
  tl::unexpected<Error> error() const {
    const auto message = fmt::format("line {}: JSON: {}", line(), what_);
    if (plain_) return fail(Errc::invalid_input, message);
    return undecryptable(message);
  }
  std::size_t line() const { return 1 + static_cast<std::size_t>(std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())), '\n')); }
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  bool take(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool string(SecretString& out) {
    if (at_ >= text_.size() || text_[at_] != '"') return wrong("a string was expected");
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') return ++at_, true;
      if (static_cast<unsigned char>(c) < 0x20) return wrong("a control character in a string");
      if (c != '\\') {
        out.append(c);
        continue;
      }
      if (++at_ >= text_.size()) break;
      switch (text_[at_]) {
        case '"':
        case '\\':
        case '/': out.append(text_[at_]); break;
        case 'n': out.append('\n'); break;
        case 'r': out.append('\r'); break;
        case 't': out.append('\t'); break;
        case 'b': out.append('\b'); break;
        case 'f': out.append('\f'); break;
        case 'u': {
          auto point = hex4(at_ + 1);
          if (!point) return wrong("a malformed \\u");
          at_ += 4;
          if (*point >= 0xd800 && *point < 0xdc00 && text_.substr(at_ + 1).starts_with("\\u")) {
            if (const auto low = hex4(at_ + 3); low && *low >= 0xdc00 && *low < 0xe000) {
              point = 0x10000 + ((*point - 0xd800) << 10U) + (*low - 0xdc00);
              at_ += 6;
            }
          }
          if (*point >= 0xd800 && *point < 0xe000) point = 0xfffd;
          utf8(out, *point);
          break;
        }
        default: return wrong("an unknown escape");
      }
    }
    return wrong("a string has no end");
  }
  std::optional<char32_t> hex4(std::size_t from) const {
    if (from + 4 > text_.size()) return std::nullopt;
    unsigned value = 0;
    const auto* end = text_.data() + from + 4;
    const auto got = std::from_chars(text_.data() + from, end, value, 16);
    return got.ptr == end ? std::optional<char32_t>(value) : std::nullopt;
  }
  static void utf8(SecretString& out, char32_t c) {
    const auto put = [&](char32_t byte) { out.append(static_cast<char>(byte)); };
    if (c < 0x80) put(c);
    else if (c < 0x800) put(0xc0U | c >> 6U), put(0x80U | (c & 63U));
    else if (c < 0x10000) put(0xe0U | c >> 12U), put(0x80U | (c >> 6U & 63U)), put(0x80U | (c & 63U));
    else put(0xf0U | c >> 18U), put(0x80U | (c >> 12U & 63U)), put(0x80U | (c >> 6U & 63U)), put(0x80U | (c & 63U));
  }

  /// A word that is no string; gives its text.
  std::string_view bare() {
    const auto begin = at_;
    while (at_ < text_.size() && std::string_view("+-.0123456789abcdefghijklmnopqrstuvwxyzE").find(text_[at_]) != std::string_view::npos) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  bool object_of_values(bool top) {
    if (!take('{')) return wrong("an object was expected");
    if (take('}')) return top ? (closed = at_ - 1, true) : true;
    std::set<std::string, std::less<>> keys;
    for (;;) {
      space();
      const auto key_begin = at_;
      SecretString key;
      if (!string(key)) return false;
      if (plain_ && !keys.emplace(key.reveal()).second) return wrong(fmt::format("'{}' is set twice", key.reveal()));
      if (top && indent.empty()) indent = space_before(key_begin);
      if (!take(':')) return wrong("':' was expected");
      space();
      if (top) ++keys_;
      if (top && key.reveal() == "sops") {
        has_sops_ = true;
        const auto begin = at_;
        if (!metadata("", 0)) return false;
        sops_span = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at_)};
        indent = space_before(key_begin);
      } else {
        path_.emplace_back(key.reveal());
        const bool fine = value();
        path_.pop_back();
        if (!fine) return false;
      }
      if (take('}')) return top ? (closed = at_ - 1, true) : true;
      if (!take(',')) return wrong("',' or '}' was expected");
    }
  }
  std::string space_before(std::size_t at) const {
    auto from = at;
    while (from > 0 && (text_[from - 1] == ' ' || text_[from - 1] == '\t')) --from;
    return std::string(text_.substr(from, at - from));
  }

  bool value() {
    if (++depth_ > 500) return wrong("nested too deeply");
    struct Leave {
      int& depth;
      ~Leave() { --depth; }
    } leave{depth_};
    space();
    if (at_ >= text_.size()) return wrong("cut short");
    if (text_[at_] == '{') return object_of_values(false);
    if (text_[at_] == '[') {
      ++at_;
      if (take(']')) return true;
      for (;;) {
        if (!value()) return false;
        if (take(']')) return true;
        if (!take(',')) return wrong("',' or ']' was expected");
      }
    }
    Leaf leaf;
    leaf.path = path_;
    leaf.line = line_of_value();
    const auto begin = at_;
    if (text_[at_] == '"') {
      if (!string(leaf.text)) return false;
    } else {
      const auto word = bare();
      if (word == "null") return true;
      if (word == "true" || word == "false") {
        leaf.type = LeafType::boolean;
        leaf.text = SecretString(word == "true" ? "True" : "False");
      } else if (!number(word, leaf)) {
        return false;
      }
    }
    leaf.where = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at_)};
    document_->leaves.push_back(std::move(leaf));
    return true;
  }
  /// Counting from the begin each time would be quadratic.
  std::size_t line_of_value() {
    for (; counted_ < at_; ++counted_)
      if (text_[counted_] == '\n') ++line_;
    return line_;
  }

  bool number(std::string_view word, Leaf& leaf) {
    if (word.empty()) return wrong("a value was expected");
    std::int64_t whole = 0;
    const auto* end = word.data() + word.size();
    if (const auto got = std::from_chars(word.data(), end, whole); got.ec == std::errc{} && got.ptr == end) {
      leaf.type = LeafType::integer;
      leaf.text = SecretString(std::to_string(whole));
      return true;
    }
    const bool whole_number = word.find_first_not_of("-0123456789") == std::string_view::npos;
    char* stop = nullptr;
    const std::string copy(word);
    const double real = std::strtod(copy.c_str(), &stop);
    // SOPS holds every other number as a double.
    if (plain_ && (!std::isfinite(real) || (whole_number && float_text(real) != word))) return wrong("a number that SOPS cannot hold; put it in quotes");
    if (*stop != '\0' || (word[0] != '-' && (word[0] < '0' || word[0] > '9'))) return wrong("a word that is no value");
    leaf.type = LeafType::floating;
    leaf.text = SecretString(float_text(real));
    return true;
  }

  bool metadata(const std::string& name, int depth) {
    if (depth > 20) return wrong("metadata nested too deeply");
    space();
    if (at_ >= text_.size()) return wrong("cut short");
    if (take('{')) {
      if (take('}')) return true;
      for (;;) {
        space();
        SecretString key;
        if (!string(key) || !take(':')) return wrong("':' was expected");
        const std::string text(key.reveal());
        if (!metadata(name.empty() ? text : name + "__map_" + text, depth + 1)) return false;
        if (take('}')) return true;
        if (!take(',')) return wrong("',' or '}' was expected");
      }
    }
    if (take('[')) {
      if (take(']')) return true;
      for (int i = 0;; ++i) {
        if (!metadata(fmt::format("{}__list_{}", name, i), depth + 1)) return false;
        if (take(']')) return true;
        if (!take(',')) return wrong("',' or ']' was expected");
      }
    }
    if (text_[at_] == '"') {
      SecretString text;
      if (!string(text)) return false;
      flat_.emplace_back(name, text.reveal());
      return true;
    }
    const auto word = bare();
    if (word.empty()) return wrong("a value was expected");
    if (word != "null") flat_.emplace_back(name, word);
    return true;
  }

  std::string_view text_;
  bool plain_;
  std::size_t at_ = 0, counted_ = 0, line_ = 1;
  int depth_ = 0, keys_ = 0;
  bool has_sops_ = false;
  std::vector<std::string> path_;
  std::string what_;
  Flat flat_;
  Document* document_ = nullptr;
};

void write_tree(std::string& out, const MetaNode& node, const std::string& unit, std::size_t depth, std::string_view name) {
  const auto line = [&](std::size_t level) {
    out += '\n';
    for (std::size_t i = 0; i < level; ++i) out += unit;
  };
  if (node.scalar()) {
    if (bare_metadata(name)) out += node.text;
    else go_json_quote(out, node.text);
    return;
  }
  const bool list = !node.list.empty();
  out += list ? '[' : '{';
  bool first = true;
  const auto member = [&](const MetaNode& child, const std::string& key) {
    if (!first) out += ',';
    first = false;
    line(depth + 1);
    if (!list) {
      go_json_quote(out, key);
      out += ": ";
    }
    write_tree(out, child, unit, depth + 1, key);
  };
  for (const auto& [index, child] : node.list) member(child, "");
  for (const auto& [key, child] : node.map) member(child, key);
  line(depth);
  out += list ? ']' : '}';
}

std::string plain_value(const OpenLeaf& value) {
  std::string out;
  if (value.type == LeafType::boolean) return value.plain.reveal() == "True" ? "true" : "false";
  if (value.type == LeafType::integer || value.type == LeafType::floating) return std::string(value.plain.reveal());
  go_json_quote(out, value.plain.reveal());
  return out;
}

}  // namespace

Result<Document> stores::read_json(std::string_view text) { return Reader(text).read(); }
Result<Document> stores::read_plain_json(std::string_view text) { return Reader(text, true).read(); }

std::string stores::write_binary(const Document& document) {
  std::string out = "{\n\t\"data\": ";
  go_json_quote(out, document.leaves.at(0).text.reveal());
  out += ",\n\t\"sops\": ";
  write_tree(out, metadata_tree(document.sops), "\t", 1, "");
  return out + "\n}\n";
}

Result<std::string> stores::write_json(const Document& document) {
  Reader reader(document.source, document.from_plain);
  DM_TRY(const auto original, reader.read());
  const auto unit = reader.indent.empty() ? "\t" : reader.indent;
  std::string block;
  write_tree(block, metadata_tree(document.sops), unit, 1, "");
  text::Edit edit{reader.sops_span, block};
  if (document.from_plain) {  // the last member of the top level
    const std::string_view source = document.source;
    auto end = reader.closed;
    while (end > 0 && std::string_view(" \t\r\n").find(source[end - 1]) != std::string_view::npos) --end;
    edit = {{static_cast<std::uint32_t>(end), static_cast<std::uint32_t>(reader.closed)}, fmt::format("{}\n{}\"sops\": {}\n", source[end - 1] == '{' ? "" : ",", unit, block)};
  }
  return edited_source(document, original, {edit}, [](const Leaf& leaf) {
    if (!leaf.text.reveal().starts_with("ENC[")) return plain_value({SecretString(leaf.text.reveal()), leaf.type, false});
    std::string out;
    go_json_quote(out, leaf.text.reveal());
    return out;
  });
}

SecretString stores::plain_json(const Opened& opened) {
  const auto& source = opened.document.source;
  Reader reader(source);
  if (!reader.read()) return {};
  SecretString out;
  std::size_t at = 0;
  // The "sops" member goes, with the comma before or after it.
  auto cut_begin = std::size_t{reader.sops_span.begin}, cut_end = std::size_t{reader.sops_span.end};
  cut_begin = source.rfind("\"sops\"", cut_begin);
  while (cut_begin > 0 && std::string_view(" \t\r\n").find(source[cut_begin - 1]) != std::string_view::npos) --cut_begin;
  if (cut_begin > 0 && source[cut_begin - 1] == ',') --cut_begin;
  else if (const auto next = source.find_first_not_of(" \t\r\n", cut_end); next != std::string::npos && source[next] == ',') cut_end = next + 1;
  bool cut = false;
  const auto copy_to = [&](std::size_t end) {
    if (!cut && end >= cut_end) {
      out.append(std::string_view(source).substr(at, cut_begin - at));
      at = cut_end;
      cut = true;
    }
    out.append(std::string_view(source).substr(at, end - at));
  };
  for (std::size_t i = 0; i < opened.values.size(); ++i) {
    const auto& where = opened.document.leaves[i].where;
    copy_to(where.begin);
    auto value = plain_value(opened.values[i]);
    if (opened.values[i].sealed) out.append(value);
    else out.append(std::string_view(source).substr(where.begin, where.size()));
    wipe(value);
    at = where.end;
  }
  copy_to(source.size());
  return out;
}

}  // namespace dm::secrets

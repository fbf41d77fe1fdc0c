#include <algorithm>
#include <charconv>
#include <map>

#include "formats/flatten.hpp"

namespace dm::formats {
namespace {

/// Tolerant: what is not TOML but cannot be misread (a bare value of any word) is taken as written.
class TomlSettings {
 public:
  explicit TomlSettings(std::string_view text) : text_(text), out_(text) {}

  Result<std::vector<Setting>> read() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    for (skip(true); at_ < text_.size() && !out_.failed(); skip(true)) {
      if (text_[at_] == '[') table();
      else if (pair(table_, 0)) line_ends();
    }
    return out_.take();
  }

 private:
  bool is(char c) const { return at_ < text_.size() && text_[at_] == c; }

  bool fail_here(std::string_view message) {
    out_.error(std::min(at_, text_.size()), message);
    return false;
  }

  /// Blanks and comments, with line ends where `lines`.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      else if (c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n')) ++at_;
      else return;
    }
  }

  void line_ends() {
    skip(false);
    if (at_ < text_.size() && text_[at_] != '\n') fail_here("more after the value: one setting to a line");
  }

  void table() {
    const bool array = text_.substr(at_, 2) == "[[";
    at_ += array ? 2 : 1;
    std::string name;
    if (!key(name)) return;
    if (text_.substr(at_, array ? 2 : 1) != (array ? "]]" : "]")) {
      fail_here("a table without ']'");
      return;
    }
    at_ += array ? 2 : 1;
    table_ = resolve(name);
    if (array) {
      const auto index = arrays_[table_]++;
      table_ = join_key(table_, std::to_string(index));
    }
    line_ends();
  }

  /// `[a.b]` below `[[a]]` belongs to the last item of `a`.
  std::string resolve(const std::string& name) const {
    std::string out;
    for (std::size_t from = 0; from <= name.size();) {
      const auto dot = std::min(name.find('.', from), name.size());
      out = join_key(out, std::string_view(name).substr(from, dot - from));
      from = dot + 1;
      if (from > name.size()) break;
      if (const auto known = arrays_.find(out); known != arrays_.end())
        out = join_key(out, std::to_string(known->second - 1));
    }
    return out;
  }

  bool key(std::string& out) {
    for (std::size_t parts = 0;; ++parts) {
      if (parts > kMaxSettingDepth) return fail_here("nested too deeply");
      skip(false);
      std::string part;
      if (is('"') || is('\'')) {
        if (!quoted(part)) return false;
      } else {
        const auto begin = at_;
        while (at_ < text_.size() && bare(text_[at_])) ++at_;
        if (begin == at_) return fail_here("a key is missing");
        part = text_.substr(begin, at_ - begin);
      }
      out = parts == 0 ? part : out + "." + part;
      skip(false);
      if (!is('.')) return true;
      ++at_;
    }
  }

  static bool bare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           static_cast<unsigned char>(c) >= 0x80;
  }

  bool pair(const std::string& outer, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    std::string name;
    if (!key(name)) return false;
    if (!is('=')) return fail_here("'=' is missing after the key");
    ++at_;
    skip(false);
    return value(join_key(outer, name), depth);
  }

  bool value(const std::string& name, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    if (depth >= kMaxSettingDepth) return fail_here("nested too deeply");
    if (at_ >= text_.size()) return fail_here("a value is missing");
    if (is('[')) return array(name, depth);
    if (is('{')) return inline_table(name, depth);
    const auto begin = at_;
    std::string text;
    if (is('"') || is('\'')) {
      if (!quoted(text)) return false;
    } else {
      while (at_ < text_.size() && std::string_view(",]}#\n").find(text_[at_]) == std::string_view::npos) ++at_;
      auto end = at_;
      while (end > begin && std::string_view(" \t\r").find(text_[end - 1]) != std::string_view::npos) --end;
      if (begin == end) return fail_here("a value is missing");
      out_.add(name, std::string(text_.substr(begin, end - begin)), begin, end);
      return !out_.failed();
    }
    out_.add(name, std::move(text), begin, at_);
    return !out_.failed();
  }

  bool array(const std::string& name, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    ++at_;
    for (std::size_t index = 0;; ++index) {
      skip(true);
      if (is(']')) break;
      if (!value(join_key(name, std::to_string(index)), depth + 1)) return false;
      skip(true);
      if (is(',')) ++at_;
      else if (!is(']')) return fail_here("an array without ']'");
    }
    ++at_;
    return true;
  }

  bool inline_table(const std::string& name, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    ++at_;
    for (;;) {
      skip(true);
      if (is('}')) break;
      if (!pair(name, depth + 1)) return false;
      skip(true);
      if (is(',')) ++at_;
      else if (!is('}')) return fail_here("an inline table without '}'");
    }
    ++at_;
    return true;
  }

  bool quoted(std::string& out) {
    const char quote = text_[at_];
    const bool triple = text_.substr(at_, 3) == std::string(3, quote);
    const auto begin = at_;
    at_ += triple ? 3 : 1;
    if (triple && text_.substr(at_, 2) == "\r\n") at_ += 2;
    else if (triple && is('\n')) ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == quote && (!triple || text_.substr(at_, 3) == std::string(3, quote))) {
        while (triple && text_.substr(at_ + 3, 1) == std::string_view(&quote, 1)) {  // up to two quotes before the end
          out += quote;
          ++at_;
        }
        at_ += triple ? 3 : 1;
        return true;
      }
      if (c == '\n' && !triple) break;
      if (c == '\\' && quote == '"') {
        escape(out);
        continue;
      }
      out += c;
      ++at_;
    }
    at_ = begin;
    return fail_here("a string without its closing quote");
  }

  void escape(std::string& out) {
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\\';
    at_ = std::min(at_ + 2, text_.size());
    switch (c) {
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case 'r': out += '\r'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'u':
      case 'U': {
        const std::size_t digits = c == 'u' ? 4 : 8;
        const auto hex = text_.substr(at_, digits);
        std::uint32_t code = 0;
        const auto [stop, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
        if (error != std::errc() || hex.size() != digits || stop != hex.data() + digits) out += '\\', out += c;
        else append_utf8(out, code), at_ += digits;
        break;
      }
      case '\r':
      case '\n':  // the line goes on
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
        break;
      default: out += c;
    }
  }

  std::string_view text_;
  Collector out_;
  std::size_t at_ = 0;
  std::string table_;
  std::map<std::string, std::size_t, std::less<>> arrays_;  // items seen of each `[[name]]`
};

}  // namespace

Result<std::vector<Setting>> read_toml_settings(std::string_view text) { return TomlSettings(text).read(); }

}  // namespace dm::formats

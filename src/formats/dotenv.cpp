#include "formats/dotenv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace dm::formats {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r'; }
bool key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ||
         c == '[' || c == ']' || static_cast<unsigned char>(c) >= 0x80;  // letters of other scripts
}

class Parser {
 public:
  Parser(std::string_view text, const Expand* expand) : text_(text), expand_(expand) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  Dotenv parse() {
    while (at_ < text_.size()) {
      if (expand_ == nullptr) raw_line();
      else statement();
    }
    return std::move(out_);
  }

 private:
  std::size_t line_end(std::size_t from) const { return std::min(text_.find('\n', from), text_.size()); }

  void skip_blank() {
    while (at_ < text_.size() && blank(text_[at_])) ++at_;
  }

  void error(std::size_t begin, std::size_t end, std::string message) {
    out_.errors.push_back({{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}, std::move(message)});
  }

  void skip_export() {
    if (text_.substr(at_, 6) != "export" || at_ + 6 >= text_.size() || (!blank(text_[at_ + 6]) && text_[at_ + 6] != '\n')) return;
    at_ += 6;
    skip_blank();
  }

  /// One variable. A statement ends with its value: what follows a closing quote on the same line begins the next one.
  void statement() {
    while (at_ < text_.size() && (blank(text_[at_]) || text_[at_] == '\n')) ++at_;
    if (at_ >= text_.size()) return;
    if (text_[at_] == '#') {
      at_ = line_end(at_);
      return;
    }
    skip_export();
    const auto begin = at_;
    auto stop = begin;
    while (stop < text_.size() && (blank(text_[stop]) || key_char(text_[stop]))) ++stop;
    if (stop < text_.size() && text_[stop] != '=' && text_[stop] != ':' && text_[stop] != '\n') {
      const auto end = line_end(begin);
      error(stop, stop + 1, text_.substr(begin, stop - begin).find_first_of("=:") == std::string_view::npos && stop == begin
                                ? fmt::format("a line begins with '{}', not with a name", text_[stop])
                                : fmt::format("unexpected character '{}' in a variable name", text_[stop]));
      at_ = std::min(end + 1, text_.size());
      return;
    }
    DotenvEntry entry;
    if (stop == text_.size()) {  // as Compose: the last line without its end is a value without a name
      entry.value_span = entry.key_span = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(stop)};
      at_ = begin;
      value(entry);
      return;
    }
    auto key_end = stop;
    while (key_end > begin && blank(text_[key_end - 1])) --key_end;
    entry.key = text_.substr(begin, key_end - begin);
    entry.key_span = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(key_end)};
    if (entry.key.find(' ') != std::string::npos) {
      error(begin, key_end, fmt::format("a name cannot contain a space: '{}'", entry.key));
      at_ = std::min(line_end(begin) + 1, text_.size());
      return;
    }
    at_ = stop + 1;
    if (text_[stop] == '\n') {  // a name alone
      entry.inherits = true;
      if (!entry.key.empty()) out_.entries.push_back(std::move(entry));
      return;
    }
    value(entry);
  }

  void value(DotenvEntry& entry) {
    skip_blank();
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) return quoted(entry);
    const auto begin = at_;
    const auto end = line_end(begin);
    const auto comment = text_.substr(begin, end - begin).find(" #");
    auto stop = comment == std::string_view::npos ? end : begin + comment;
    while (stop > begin && blank(text_[stop - 1])) --stop;
    at_ = std::min(end + 1, text_.size());
    finish(entry, begin, stop, std::string(text_.substr(begin, stop - begin)), true);
  }

  void quoted(DotenvEntry& entry) {
    const char quote = text_[at_];
    const auto begin = at_;
    std::string inner;
    std::size_t i = at_ + 1;
    for (; i < text_.size() && text_[i] != quote; ++i) {
      if (text_[i] == '\\' && i + 1 < text_.size()) {
        if (text_[i + 1] != quote) inner += '\\';
        ++i;
      }
      inner += text_[i];
    }
    if (i >= text_.size()) {
      error(begin, line_end(begin), fmt::format("unterminated quoted value of '{}'", entry.key));
      at_ = text_.size();
      return;
    }
    at_ = i + 1;
    if (quote == '\'') finish(entry, begin, i + 1, std::move(inner), false);
    else finish(entry, begin, i + 1, unescape(inner), true);
  }

  /// `format: raw`: all after '=' is the value.
  void raw_line() {
    skip_blank();
    if (at_ >= text_.size()) return;
    const auto end = line_end(at_);
    const auto next = std::min(end + 1, text_.size());
    if (text_[at_] == '#' || text_[at_] == '\n') {
      at_ = next;
      return;
    }
    skip_export();
    const auto begin = at_;
    at_ = next;
    const auto stop = std::min(text_.find('=', begin), end);
    auto key_end = stop;
    while (key_end > begin && blank(text_[key_end - 1])) --key_end;
    if (stop < end && key_end < stop) return error(begin, stop, fmt::format("variable '{}' contains a space", text_.substr(begin, stop - begin)));
    DotenvEntry entry;
    entry.key = text_.substr(begin, key_end - begin);
    entry.key_span = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(key_end)};
    if (const auto odd = std::ranges::find_if_not(entry.key, key_char); odd != entry.key.end())
      return error(begin, key_end, *odd == ' ' ? fmt::format("a name cannot contain a space: '{}'", entry.key)
                                               : fmt::format("unexpected character '{}' in a variable name", *odd));
    if (stop == end) {
      entry.inherits = true;
      if (!entry.key.empty()) out_.entries.push_back(std::move(entry));
      return;
    }
    auto value_end = end;
    if (value_end > stop + 1 && text_[value_end - 1] == '\r') --value_end;
    finish(entry, stop + 1, value_end, std::string(text_.substr(stop + 1, value_end - stop - 1)), false);
  }

  static std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      switch (c) {
        case 'a': out += '\a'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'n': out += '\n'; break;
        case 'r': out += '\r'; break;
        case 't': out += '\t'; break;
        case 'v': out += '\v'; break;
        case '\\':
        case '"': out += c; break;
        case '$': out += "$$"; break;
        case '0':
          if (const auto code = octal(text.substr(i + 1, 3)); code) {
            append_utf8(out, *code);
            i += 3;
            break;
          }
          [[fallthrough]];
        default: out += '\\', out += c;
      }
    }
    return out;
  }

  /// Three octal digits up to 377: `\0101` is "A".
  static std::optional<unsigned> octal(std::string_view digits) {
    unsigned code = 0;
    for (const char c : digits) {
      if (c < '0' || c > '7') return std::nullopt;
      code = code * 8 + static_cast<unsigned>(c - '0');
    }
    return digits.size() == 3 && code < 256 ? std::optional(code) : std::nullopt;
  }

  static void append_utf8(std::string& out, unsigned code) {
    if (code < 0x80) out += static_cast<char>(code);
    else out += static_cast<char>(0xC0U | (code >> 6U)), out += static_cast<char>(0x80U | (code & 0x3FU));
  }

  void finish(DotenvEntry& entry, std::size_t begin, std::size_t end, std::string value, bool expand) {
    entry.value_span = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(std::max(begin, end))};
    if (expand && value.find('$') != std::string::npos) {
      std::string out;
      if (!(*expand_)(value, out_.entries, out)) {
        error(begin, end, fmt::format("invalid variable reference in the value of '{}'", entry.key));
        return;
      }
      value = std::move(out);
    }
    entry.value = std::move(value);
    out_.entries.push_back(std::move(entry));
  }

  std::string_view text_;
  const Expand* expand_;
  std::size_t at_ = 0;
  Dotenv out_;
};

}  // namespace

Dotenv parse_dotenv(std::string_view text, const Expand& expand) { return Parser(text, &expand).parse(); }
Dotenv parse_dotenv_raw(std::string_view text) { return Parser(text, nullptr).parse(); }

}  // namespace dm::formats

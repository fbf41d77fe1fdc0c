#include "formats/dotenv.hpp"

#include <fmt/format.h>

#include <algorithm>

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
    while (at_ < text_.size()) statement();
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

  void statement() {
    skip_blank();
    if (at_ >= text_.size()) return;
    if (text_[at_] == '\n') {
      ++at_;
      return;
    }
    const auto end = line_end(at_);
    if (text_[at_] == '#') {
      at_ = std::min(end + 1, text_.size());
      return;
    }
    if (text_.substr(at_, 7) == "export " || text_.substr(at_, 7) == "export\t") {
      at_ += 7;
      skip_blank();
    }
    const auto begin = at_;
    auto stop = begin;
    while (stop < end && text_[stop] != '=' && (text_[stop] != ':' || expand_ == nullptr)) ++stop;
    auto key_end = stop;
    while (key_end > begin && blank(text_[key_end - 1])) --key_end;
    DotenvEntry entry;
    if (expand_ == nullptr && stop < end && key_end < stop) {
      error(begin, stop, fmt::format("variable '{}' contains a space", text_.substr(begin, stop - begin)));
      at_ = std::min(end + 1, text_.size());
      return;
    }
    entry.key = text_.substr(begin, key_end - begin);
    entry.key_span = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(key_end)};
    if (const auto odd = std::ranges::find_if_not(entry.key, key_char); odd != entry.key.end()) {
      error(begin, key_end,
            *odd == ' ' ? fmt::format("key cannot contain a space: '{}'", entry.key)
                        : fmt::format("unexpected character '{}' in variable name '{}'", *odd, entry.key));
      at_ = std::min(end + 1, text_.size());
      return;
    }
    if (stop == end) {  // a name alone
      if (end == text_.size() && expand_ != nullptr) {  // as Compose: the last line without its end is a value without a name
        entry.value = std::move(entry.key);
        entry.key.clear();
        entry.value_span = entry.key_span;
        at_ = end;
        out_.entries.push_back(std::move(entry));
        return;
      }
      entry.inherits = true;
      at_ = std::min(end + 1, text_.size());
      if (!entry.key.empty()) out_.entries.push_back(std::move(entry));
      return;
    }
    at_ = stop + 1;
    if (expand_ == nullptr) {
      auto value_end = end;
      if (value_end > at_ && text_[value_end - 1] == '\r') --value_end;
      finish(entry, at_, value_end, std::string(text_.substr(at_, value_end - at_)), false);
      at_ = std::min(end + 1, text_.size());
      return;
    }
    while (at_ < end && blank(text_[at_])) ++at_;
    if (at_ < end && (text_[at_] == '"' || text_[at_] == '\'')) quoted(entry);
    else unquoted(entry, end);
  }

  void unquoted(DotenvEntry& entry, std::size_t end) {
    auto stop = at_;
    for (; stop < end; ++stop)
      if (text_[stop] == '#' && stop > at_ && text_[stop - 1] == ' ') break;  // at the value's begin it belongs to it
    while (stop > at_ && blank(text_[stop - 1])) --stop;
    const auto begin = at_;
    at_ = std::min(end + 1, text_.size());
    finish(entry, begin, stop, std::string(text_.substr(begin, stop - begin)), true);
  }

  void quoted(DotenvEntry& entry) {
    const char quote = text_[at_];
    const auto begin = at_;
    std::size_t i = at_ + 1;
    for (; i < text_.size() && text_[i] != quote; ++i)
      if (text_[i] == '\\' && (quote == '"' || (i + 1 < text_.size() && text_[i + 1] == quote))) ++i;
    if (i >= text_.size()) {
      error(begin, line_end(begin), fmt::format("unterminated quoted value of '{}'", entry.key));
      at_ = text_.size();
      return;
    }
    const auto inner = text_.substr(begin + 1, i - begin - 1);
    at_ = std::min(line_end(i) + 1, text_.size());  // anything after the quote on its line is ignored
    if (quote == '\'') finish(entry, begin, i + 1, std::string(inner), false);
    else finish(entry, begin, i + 1, unescape(inner), true);
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
        case 'n': out += '\n'; break;
        case 'r': out += '\r'; break;
        case 't': out += '\t'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case '\\':
        case '"':
        case '\'': out += c; break;
        case '$': out += "$$"; break;
        default: out += '\\', out += c;
      }
    }
    return out;
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

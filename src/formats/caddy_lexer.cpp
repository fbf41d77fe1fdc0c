#include <algorithm>

#include "formats/caddyfile.hpp"

namespace dm::formats {
namespace {

constexpr std::size_t kMaxExpanded = 16UL << 20U;  // variables may make a text larger, up to here

/// A text with variables replaced, which knows where each byte came from.
class Replaced {
 public:
  Replaced(std::string_view text, const CaddyLookup& lookup, std::vector<CaddyError>& errors) {
    std::size_t at = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    while (lookup && at < text.size()) {
      const auto open = text.find("{$", at);
      const auto close = open == std::string_view::npos ? open : text.find('}', open);
      if (close == std::string_view::npos) break;
      const auto inner = text.substr(open + 2, close - open - 2);
      copy(text, at, inner.empty() ? close + 1 : open);
      at = close + 1;
      if (inner.empty()) continue;
      const auto colon = std::min(inner.find(':'), inner.size());
      const auto value = lookup(inner.substr(0, colon));
      const std::string_view put = value ? std::string_view(*value) : inner.substr(std::min(colon + 1, inner.size()));
      if (out_.size() + put.size() > std::max(kMaxExpanded, text.size())) {
        errors.push_back({span(open, close + 1), "values of variables make the file too large"});
        return;
      }
      pieces_.push_back({out_.size(), open, close + 1, true});
      out_ += put;
    }
    copy(text, at, text.size());
  }

  const std::string& text() const { return out_; }

  /// Where [begin, end) of the result came from.
  text::Span origin(std::size_t begin, std::size_t end) const {
    if (pieces_.empty()) return {};
    const Piece& first = piece(begin);
    const Piece& last = piece(end > begin ? end - 1 : begin);
    const auto from = first.replaced ? first.begin : first.begin + (begin - first.at);
    const auto to = last.replaced ? last.end : std::min(last.end, last.begin + (end - last.at));
    return span(from, std::max(from, to));
  }

  static text::Span span(std::size_t begin, std::size_t end) {
    return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
  }

 private:
  struct Piece {
    std::size_t at;     ///< in the result
    std::size_t begin;  ///< in the source
    std::size_t end;
    bool replaced;
  };

  void copy(std::string_view text, std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    pieces_.push_back({out_.size(), begin, end, false});
    out_ += text.substr(begin, end - begin);
  }

  const Piece& piece(std::size_t at) const {
    const auto after = std::ranges::upper_bound(pieces_, at, {}, &Piece::at);
    return after == pieces_.begin() ? *after : *(after - 1);
  }

  std::string out_;
  std::vector<Piece> pieces_;
};

class Lexer {
 public:
  Lexer(const Replaced& source, std::vector<CaddyError>& errors) : source_(source), text_(source.text()), errors_(errors) {}

  std::vector<CaddyToken> tokens() {
    while (errors_.empty() && next()) {
    }
    return std::move(out_);
  }

 private:
  /// Bytes of white space at `at`, which is ASCII, U+0085, U+00A0 or U+3000; 0 if there is none.
  std::size_t space(std::size_t at) const {
    const char c = text_[at];
    if (c == ' ' || (c >= '\t' && c <= '\r')) return 1;
    if (text_.substr(at, 2) == "\xC2\x85" || text_.substr(at, 2) == "\xC2\xA0") return 2;
    return text_.substr(at, 3) == "\xE3\x80\x80" ? 3 : 0;
  }

  bool next() {
    if (!skip_space()) return false;
    const auto begin = at_;
    CaddyToken token;
    token.starts_line = line_started_;
    line_started_ = false;
    const char c = text_[at_];
    if (c == '"' || c == '`') quoted(token);
    else if (text_.substr(at_, 2) == "<<" && heredoc(token)) token.quote = '<';
    else bare(token);
    if (!errors_.empty()) return false;
    token.where = source_.origin(begin, at_);
    out_.push_back(std::move(token));
    return true;
  }

  /// To the next token; false at the end. A backslash at the end of a line joins it to the next one.
  bool skip_space() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (text_[at_] == '\\' && joins(at_ + 1)) {
        at_ = text_.find('\n', at_) + 1;
      } else if (const auto size = space(at_); size > 0) {
        line_started_ = line_started_ || text_[at_] == '\n';
        at_ += size;
      } else {
        return true;
      }
    }
    return false;
  }

  bool joins(std::size_t at) const {
    while (at < text_.size() && text_[at] == '\r') ++at;
    return at < text_.size() && text_[at] == '\n';
  }

  void quoted(CaddyToken& token) {
    const char quote = text_[at_];
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) {
        if (text_[++at_] != '"') token.text += '\\';  // nothing else is an escape
      }
      token.text += text_[at_];
    }
    token.quote = quote;
    if (at_ < text_.size()) ++at_;  // Caddy takes an unclosed quote as closed by the end of the file
  }

  void bare(CaddyToken& token) {
    const bool escaped_heredoc = text_.substr(at_, 2) == "\\<";
    if (escaped_heredoc) ++at_;
    while (at_ < text_.size() && space(at_) == 0) {
      if (text_[at_] == '\\' && joins(at_ + 1)) return;
      token.text += text_[at_++];
    }
  }

  static bool marker_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  }

  void error(std::size_t begin, std::size_t end, std::string message) {
    errors_.push_back({source_.origin(begin, end), std::move(message)});
  }

  /// False where `<<` begins an ordinary word: a blank follows on its line.
  bool heredoc(CaddyToken& token) {
    const auto line_end = text_.find('\n', at_);
    if (line_end == std::string_view::npos) return false;
    auto marker = text_.substr(at_ + 2, line_end - at_ - 2);
    while (marker.ends_with('\r')) marker.remove_suffix(1);
    if (marker.find(' ') != std::string_view::npos) return false;
    if (marker.starts_with('<')) return error(at_, line_end, "too many '<' for a heredoc"), true;
    if (marker.empty() || !std::ranges::all_of(marker, marker_char))
      return error(at_, line_end, "the mark of a heredoc is made of letters, digits, '-' and '_'"), true;
    const auto body = line_end + 1;
    const auto close = text_.find(marker, body + 1);  // at least one byte stands before it
    if (close == std::string_view::npos)
      return error(at_, line_end, "the heredoc's end mark '" + std::string(marker.substr(0, 80)) + "' is missing"), true;
    const auto last_line = std::max(body, text_.rfind('\n', close - 1) + 1);
    const auto margin = text_.substr(last_line, close - last_line);
    for (std::size_t at = body; at < last_line;) {
      const auto end = text_.find('\n', at);
      auto line = text_.substr(at, end - at);
      if (line.starts_with(margin)) line.remove_prefix(margin.size());
      else if (line.find_first_not_of('\r') != std::string_view::npos)
        return error(at, end, "a line of the heredoc is indented less than its end mark"), true;
      for (const char c : line)
        if (c != '\r') token.text += c;
      token.text += '\n';
      at = end + 1;
    }
    if (token.text.ends_with('\n')) token.text.pop_back();
    at_ = close + marker.size();
    return true;
  }

  const Replaced& source_;
  std::string_view text_;
  std::vector<CaddyError>& errors_;
  std::size_t at_ = 0;
  bool line_started_ = true;
  std::vector<CaddyToken> out_;
};

}  // namespace

std::vector<CaddyToken> caddy_tokens(std::string_view text, const CaddyLookup& lookup, std::vector<CaddyError>& errors) {
  const Replaced source(text, lookup, errors);
  return Lexer(source, errors).tokens();
}

}  // namespace dm::formats

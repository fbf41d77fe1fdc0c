#include "formats/nginx.hpp"

#include <algorithm>

#include "formats/flatten.hpp"

namespace dm::formats {
namespace {

bool space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

text::Span span(std::size_t begin, std::size_t end) {
  return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), errors_(text) {}

  Result<std::vector<NginxDirective>> parse() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    std::vector<NginxDirective> out;
    block(out, 0);
    if (errors_.failed()) return fail(std::move(errors_.take().error()));
    return out;
  }

 private:
  void block(std::vector<NginxDirective>& out, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    if (depth > kMaxSettingDepth) return errors_.error(at_, "nested too deeply");
    while (!errors_.failed()) {
      skip();
      if (at_ >= text_.size()) {
        if (depth > 0) errors_.error(at_, "'}' is missing at the end");
        return;
      }
      if (text_[at_] == '}') {
        if (depth == 0) return errors_.error(at_, "'}' that nothing opened");
        ++at_;
        return;
      }
      if (text_[at_] == ';' || text_[at_] == '{') return errors_.error(at_, "a directive's name is missing");
      out.emplace_back();
      directive(out.back(), depth);
    }
  }

  void directive(NginxDirective& out, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    const auto begin = at_;
    word(out.name);
    while (!errors_.failed()) {
      skip();
      if (at_ >= text_.size() || text_[at_] == '}')
        return errors_.error(begin, "directive '" + out.name.text.substr(0, 80) + "' is not ended by ';'");
      if (text_[at_] == ';') {
        ++at_;
        break;
      }
      if (text_[at_] == '{') {
        ++at_;
        out.has_block = true;
        if (out.name.text.ends_with("_by_lua_block")) code(out.code);
        else block(out.block, depth + 1);
        break;
      }
      out.arguments.emplace_back();
      word(out.arguments.back());
    }
    out.where = span(begin, at_);
  }

  void skip() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      else if (space(text_[at_])) ++at_;
      else return;
    }
  }

  void word(NginxWord& out) {
    const auto begin = at_;
    const char quote = text_[at_];
    if (quote == '"' || quote == '\'') {
      for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) escape(out.text);
        else out.text += text_[at_];
      }
      if (at_ >= text_.size()) return errors_.error(begin, "a quote is not closed");
      ++at_;
    } else {
      for (; at_ < text_.size(); ++at_) {
        const char c = text_[at_];
        if (c == '\\' && at_ + 1 < text_.size()) {
          escape(out.text);
        } else if (c == '{' && at_ > begin && text_[at_ - 1] == '$') {  // ${name}
          const auto close = text_.find('}', at_);
          if (close == std::string_view::npos) return errors_.error(at_, "'${' without '}'");
          out.text += text_.substr(at_, close + 1 - at_);
          at_ = close;
        } else if (space(c) || c == ';' || c == '{') {
          break;
        } else {
          out.text += c;
        }
      }
    }
    out.where = span(begin, at_);
  }

  /// Quotes, blanks and backslashes lose their backslash, letters of control characters become these, others keep it.
  void escape(std::string& out) {
    const char c = text_[++at_];
    switch (c) {
      case '"':
      case '\'':
      case '\\': out += c; break;
      case 't': out += '\t'; break;
      case 'r': out += '\r'; break;
      case 'n': out += '\n'; break;
      default: out += '\\', out += c;
    }
  }

  /// Lua up to the brace that closes it; braces in its strings and comments do not count.
  void code(NginxWord& out) {
    const auto begin = at_;
    int open = 1;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        for (++at_; at_ < text_.size() && text_[at_] != c && text_[at_] != '\n'; ++at_)
          if (text_[at_] == '\\') ++at_;
      } else if (text_.substr(at_, 2) == "--") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == '{') {
        ++open;
      } else if (c == '}' && --open == 0) {
        out.text = text_.substr(begin, at_ - begin);
        out.where = span(begin, at_);
        ++at_;
        return;
      }
    }
    at_ = text_.size();
    errors_.error(begin, "'}' is missing at the end of the code");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Collector errors_;
};

void flatten(const std::vector<NginxDirective>& block, const std::string& outer, Collector& out) {  // NOLINT(misc-no-recursion)
  for (const NginxDirective& directive : block) {
    const auto key = join_key(outer, directive.name.text);
    for (const NginxWord& word : directive.arguments) out.add(key, word.text, word.where.begin, word.where.end);
    if (directive.arguments.empty() && !directive.has_block)
      out.add(key, {}, directive.name.where.end, directive.name.where.end);
    if (!directive.code.text.empty()) out.add(key, directive.code.text, directive.code.where.begin, directive.code.where.end);
    flatten(directive.block, key, out);
    if (out.failed()) return;
  }
}

}  // namespace

Result<std::vector<NginxDirective>> parse_nginx(std::string_view text) { return Parser(text).parse(); }

Result<std::vector<Setting>> read_nginx_settings(std::string_view text) {
  DM_TRY(const auto directives, parse_nginx(text));
  Collector out(text);
  flatten(directives, {}, out);
  return out.take();
}

}  // namespace dm::formats

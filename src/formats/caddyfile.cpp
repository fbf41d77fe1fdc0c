#include "formats/caddyfile.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "formats/flatten.hpp"

namespace dm::formats {
namespace {

constexpr std::size_t kMaxImports = 20;  // snippets inside snippets

using Tokens = std::vector<CaddyToken>;

bool is(const CaddyToken& token, std::string_view text) { return token.quote == 0 && token.text == text; }

std::optional<std::size_t> number(std::string_view text) {
  std::size_t out = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && stop == end ? std::optional(out) : std::nullopt;
}

/// Takes the definitions of snippets out and puts their bodies where they are imported.
class Snippets {
 public:
  Snippets(std::size_t size, Caddyfile& file) : budget_((1UL << 20U) + 64 * size), file_(file) {}

  Tokens expand(const Tokens& in) {
    expand(in, 0);
    return std::move(out_);
  }

 private:
  void expand(const Tokens& in, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    for (std::size_t i = 0; i < in.size() && file_.errors.empty();) {
      const CaddyToken& token = in[i];
      if (token.starts_line && is(token, "import")) {
        i = import(in, i, depth);
      } else if (braces_ == 0 && token.starts_line && token.text.starts_with('(') && token.text.ends_with(')') &&
                 i + 1 < in.size() && is(in[i + 1], "{")) {
        i = define(in, i);
      } else {
        if (is(token, "{")) ++braces_;
        if (is(token, "}") && braces_ > 0) --braces_;
        if (!charge(token)) return;
        out_.push_back(token);
        ++i;
      }
    }
  }

  bool charge(const CaddyToken& token) {
    const auto size = sizeof(CaddyToken) + token.text.size();
    if (size > budget_) return error(token, "imports make the file too large"), false;
    budget_ -= size;
    return true;
  }

  void error(const CaddyToken& token, std::string message) { file_.errors.push_back({token.where, std::move(message)}); }

  /// Just after the brace that closes the one at `open`; the body goes to `body`.
  std::size_t braced(const Tokens& in, std::size_t open, Tokens& body) {
    int depth = 0;
    for (std::size_t i = open; i < in.size(); ++i) {
      if (is(in[i], "{")) ++depth;
      if (is(in[i], "}") && --depth == 0) return i + 1;
      if (i > open) body.push_back(in[i]);
    }
    error(in[open], "'}' is missing for this '{'");
    return in.size();
  }

  std::size_t define(const Tokens& in, std::size_t at) {
    const auto name = in[at].text.substr(1, in[at].text.size() - 2);
    Tokens body;
    const auto next = braced(in, at + 1, body);
    if (!snippets_.emplace(name, std::move(body)).second) error(in[at], "snippet '" + name + "' is declared twice");
    return next;
  }

  std::size_t import(const Tokens& in, std::size_t at, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    std::size_t i = at + 1;
    Tokens words;
    Tokens block;
    while (i < in.size() && !in[i].starts_line && !is(in[i], "}")) {
      if (is(in[i], "{")) {
        i = braced(in, i, block);
        break;
      }
      words.push_back(in[i++]);
    }
    if (words.empty() || words[0].text.empty()) return error(in[at], "import needs the name of a snippet or file"), i;
    const auto found = snippets_.find(words[0].text);
    if (found == snippets_.end()) {
      file_.imports.push_back({words[0]});
      return i;
    }
    if (depth >= kMaxImports) return error(in[at], "imports are nested too deeply, or in a circle"), i;
    Tokens body;
    for (const CaddyToken& token : found->second)
      if (!substitute(token, words, block, body)) return i;
    if (!body.empty()) body[0].starts_line = true;
    expand(body, depth + 1);
    return i;
  }

  /// `words` are the import's: the snippet's name and its arguments.
  bool substitute(const CaddyToken& token, const Tokens& words, const Tokens& block, Tokens& out) {
    if (is(token, "{block}")) {
      for (const CaddyToken& inner : block)
        if (!put(inner, out)) return false;
      return true;
    }
    const std::string_view text = token.text;
    if (text.find("{args") == std::string_view::npos) return put(token, out);
    if (text.starts_with("{args[") && text.find("]}") + 2 == text.size()) {
      const auto range = text.substr(6, text.size() - 8);
      if (const auto colon = range.find(':'); colon != std::string_view::npos) {
        const auto count = words.size() - 1;
        const auto from = colon == 0 ? std::optional<std::size_t>(0) : number(range.substr(0, colon));
        const auto to = colon + 1 == range.size() ? std::optional(count) : number(range.substr(colon + 1));
        if (!from || !to || *from > *to || *to > count)
          return error(token, "import has no arguments " + std::string(range.substr(0, 40))), false;
        for (auto i = *from; i < *to; ++i)
          if (!put(argument(token, words[i + 1], i == *from), out)) return false;
        return true;
      }
    }
    CaddyToken replaced = token;
    replaced.text.clear();
    for (std::size_t at = 0; at < text.size();) {
      const auto open = std::min(text.find("{args", at), text.size());
      replaced.text += text.substr(at, open - at);
      at = open;
      if (at == text.size()) break;
      const auto close = text.find('}', at);
      const auto index = close == std::string_view::npos ? std::nullopt : argument_index(text.substr(at + 5, close - at - 5));
      if (!index || *index + 1 >= words.size()) {  // Caddy leaves it, with a warning
        replaced.text += text.substr(at, 5);
        at += 5;
        continue;
      }
      if (at == 0 && close + 1 == text.size()) return put(argument(token, words[*index + 1], true), out);
      replaced.text += words[*index + 1].text;
      if (replaced.text.size() > budget_) return error(token, "imports make the file too large"), false;
      at = close + 1;
    }
    return put(replaced, out);
  }

  bool put(const CaddyToken& token, Tokens& out) {
    if (!charge(token)) return false;
    out.push_back(token);
    return true;
  }

  static CaddyToken argument(const CaddyToken& place, CaddyToken word, bool first) {
    word.starts_line = first && place.starts_line;
    return word;
  }

  /// Of `[0]` or `.0`.
  static std::optional<std::size_t> argument_index(std::string_view text) {
    if (text.starts_with('[') && text.ends_with(']')) return number(text.substr(1, text.size() - 2));
    return text.starts_with('.') ? number(text.substr(1)) : std::nullopt;
  }

  std::map<std::string, Tokens, std::less<>> snippets_;
  std::size_t budget_;
  Caddyfile& file_;
  int braces_ = 0;
  Tokens out_;
};

/// Sites and directives of a stream without imports.
class Sites {
 public:
  Sites(Tokens tokens, Caddyfile& file) : in_(std::move(tokens)), file_(file) {}

  void read() {
    for (bool first = true; at_ < in_.size() && file_.errors.empty(); first = false) {
      if (is(in_[at_], "{")) {
        if (!first) return error(at_, "the block of global options must come first; a site needs an address");
        ++at_;
        directives(file_.options, 1, true);
        continue;
      }
      file_.sites.emplace_back();
      CaddySite& site = file_.sites.back();
      addresses(site);
      if (!file_.errors.empty()) return;
      const bool braced = at_ < in_.size() && is(in_[at_], "{");
      if (braced) ++at_;
      directives(site.directives, 1, braced);
    }
  }

 private:
  void error(std::size_t at, std::string message) { file_.errors.push_back({in_[at].where, std::move(message)}); }

  void addresses(CaddySite& site) {
    bool another = false;
    for (bool first = true; at_ < in_.size(); ++at_, first = false) {
      CaddyToken token = in_[at_];
      if (is(token, "{")) {
        if (another) error(at_, "another address must follow the comma");
        return;
      }
      if (token.starts_line && !first && !another) return;
      if (is(token, "}")) return error(at_, "'}' that nothing opened");
      if (token.quote == 0 && token.text.size() > 1 && token.text.ends_with('{'))
        return error(at_, "put a space between the address and '{'");
      another = token.text.ends_with(',');
      if (another) token.text.pop_back();
      if (token.text.empty()) continue;
      if (token.quote == 0 && token.text.find(',') != std::string::npos && token.text.find('{') == std::string::npos)
        return error(at_, "put a space after the comma between addresses");
      if (another && token.quote == 0 && token.where.size() > 0) --token.where.end;
      site.named_route = site.named_route || (token.text.starts_with("&(") && token.text.ends_with(')'));
      site.addresses.push_back(std::move(token));
    }
    if (another) error(in_.size() - 1, "another address must follow the comma");
  }

  void directives(std::vector<CaddyDirective>& out, std::size_t depth, bool braced) {  // NOLINT(misc-no-recursion): bounded
    while (file_.errors.empty()) {
      if (at_ >= in_.size()) {
        if (braced) error(in_.size() - 1, "'}' is missing at the end of the file");
        return;
      }
      if (is(in_[at_], "}")) {
        if (!braced) return error(at_, "'}' that nothing opened");
        ++at_;
        return;
      }
      if (is(in_[at_], "{")) return error(at_, "put '{' at the end of the line before");
      if (depth > kMaxSettingDepth) return error(at_, "nested too deeply");
      out.emplace_back();
      directive(out.back(), depth);
    }
  }

  void directive(CaddyDirective& out, std::size_t depth) {  // NOLINT(misc-no-recursion): bounded
    out.name = in_[at_++];
    for (; at_ < in_.size() && !in_[at_].starts_line && !is(in_[at_], "}"); ++at_) {
      if (is(in_[at_], "{}")) return error(at_, "'{}' is no empty block: write nothing");
      if (is(in_[at_], "{")) {
        if (at_ + 1 < in_.size() && !in_[at_ + 1].starts_line) return error(at_ + 1, "begin a new line after '{'");
        ++at_;
        out.has_block = true;
        return directives(out.block, depth + 1, true);
      }
      out.arguments.push_back(in_[at_]);
    }
  }

  Tokens in_;
  std::size_t at_ = 0;
  Caddyfile& file_;
};

void flatten(const std::vector<CaddyDirective>& block, const std::string& outer, Collector& out) {  // NOLINT(misc-no-recursion)
  for (const CaddyDirective& directive : block) {
    const auto key = join_key(outer, directive.name.text);
    for (const CaddyToken& word : directive.arguments) out.add(key, word.text, word.where.begin, word.where.end);
    if (directive.arguments.empty() && !directive.has_block)
      out.add(key, {}, directive.name.where.end, directive.name.where.end);
    flatten(directive.block, key, out);
    if (out.failed()) return;
  }
}

}  // namespace

const CaddyToken* CaddyDirective::matcher() const {
  if (arguments.empty() || name.text.starts_with('@')) return nullptr;
  const CaddyToken& first = arguments.front();
  return first.text == "*" || first.text.starts_with('/') || first.text.starts_with('@') ? &first : nullptr;
}

Caddyfile parse_caddyfile(std::string_view text, const CaddyLookup& lookup) {
  Caddyfile file;
  auto tokens = caddy_tokens(text, lookup, file.errors);
  auto expanded = Snippets(text.size(), file).expand(tokens);
  if (file.errors.empty()) Sites(std::move(expanded), file).read();
  return file;
}

Result<std::vector<Setting>> read_caddyfile_settings(std::string_view text) {
  const auto file = parse_caddyfile(text);
  Collector out(text);
  if (!file.errors.empty()) out.error(file.errors[0].where.begin, file.errors[0].message);
  flatten(file.options, "options", out);
  for (const CaddyImport& import : file.imports)
    out.add("import", import.pattern.text, import.pattern.where.begin, import.pattern.where.end);
  for (const CaddySite& site : file.sites) {
    for (const CaddyToken& word : site.addresses) out.add("site", word.text, word.where.begin, word.where.end);
    flatten(site.directives, "site", out);
  }
  return out.take();
}

}  // namespace dm::formats

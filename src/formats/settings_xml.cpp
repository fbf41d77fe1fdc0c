#include <algorithm>
#include <charconv>

#include "formats/flatten.hpp"

namespace dm::formats {
namespace {

bool space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Elements, attributes and text. No DTD is read and no entity but the five of XML and numbers is replaced.
class XmlSettings {
 public:
  explicit XmlSettings(std::string_view text) : text_(text), out_(text) {}

  Result<std::vector<Setting>> read() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    while (at_ < text_.size() && !out_.failed()) {
      if (text_[at_] != '<') characters();
      else if (starts("<!--")) skip_past("-->", "a comment without '-->'");
      else if (starts("<![CDATA[")) cdata();
      else if (starts("<?")) skip_past("?>", "an instruction without '?>'");
      else if (starts("<!")) doctype();
      else if (starts("</")) close();
      else open();
    }
    if (!ends_.empty()) out_.error(text_.size(), "an element is not closed");
    return out_.take();
  }

 private:
  bool starts(std::string_view with) const { return text_.substr(at_, with.size()) == with; }

  void fail_here(std::string_view message) {
    out_.error(at_, message);
    at_ = text_.size();
  }

  void skip_past(std::string_view end, std::string_view message) {
    const auto found = text_.find(end, at_);
    if (found == std::string_view::npos) return fail_here(message);
    at_ = found + end.size();
  }

  void characters() {
    auto begin = at_;
    auto end = std::min(text_.find('<', at_), text_.size());
    at_ = end;
    while (begin < end && space(text_[begin])) ++begin;
    while (end > begin && space(text_[end - 1])) --end;
    if (begin < end) out_.add(path_, decode(text_.substr(begin, end - begin)), begin, end);
  }

  void cdata() {
    const auto begin = at_;
    skip_past("]]>", "a CDATA section without ']]>'");
    if (!out_.failed()) out_.add(path_, std::string(text_.substr(begin + 9, at_ - begin - 12)), begin, at_);
  }

  void doctype() {
    int brackets = 0;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '[') ++brackets;
      if (text_[at_] == ']') --brackets;
      if (text_[at_] == '>' && brackets <= 0) {
        ++at_;
        return;
      }
    }
    fail_here("a declaration without '>'");
  }

  std::string_view name() {
    const auto begin = at_;
    while (at_ < text_.size() && !space(text_[at_]) && text_[at_] != '>' && text_[at_] != '/' && text_[at_] != '=' &&
           text_[at_] != '<')
      ++at_;
    return text_.substr(begin, at_ - begin);
  }

  void skip_space() {
    while (at_ < text_.size() && space(text_[at_])) ++at_;
  }

  void close() {
    at_ += 2;
    const auto closed = name();
    skip_space();
    const auto dot = ends_.empty() ? 0 : ends_.back();
    const auto open_name = std::string_view(path_).substr(std::min(path_.size(), dot == 0 ? 0 : dot + 1));
    if (ends_.empty() || closed != open_name) return fail_here("a closing tag that nothing opened");
    if (at_ >= text_.size() || text_[at_] != '>') return fail_here("a closing tag without '>'");
    ++at_;
    path_.resize(dot);
    ends_.pop_back();
  }

  void open() {
    ++at_;
    const auto element = name();
    if (element.empty()) return fail_here("'<' without a name: write &lt;");
    if (ends_.size() >= kMaxSettingDepth) return fail_here("nested too deeply");
    const auto outer = path_.size();
    path_ = join_key(path_, element);
    while (!out_.failed()) {
      skip_space();
      if (at_ >= text_.size()) return fail_here("a tag without '>'");
      if (text_[at_] == '>') {
        ++at_;
        ends_.push_back(outer);
        return;
      }
      if (starts("/>")) {
        at_ += 2;
        path_.resize(outer);
        return;
      }
      attribute();
    }
  }

  void attribute() {
    const auto key = name();
    skip_space();
    if (key.empty() || at_ >= text_.size() || text_[at_] != '=') return fail_here("an attribute without a value");
    ++at_;
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '\'')) return fail_here("an attribute needs quotes");
    const auto close_quote = text_.find(text_[at_], at_ + 1);
    if (close_quote == std::string_view::npos) return fail_here("an attribute without its closing quote");
    const auto value = text_.substr(at_ + 1, close_quote - at_ - 1);
    out_.add(join_key(path_, "@" + std::string(key)), decode(value), at_, close_quote + 1);
    at_ = close_quote + 1;
  }

  static std::string decode(std::string_view raw) {
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const auto end = raw[i] == '&' ? raw.substr(i, 12).find(';') : std::string_view::npos;
      if (end == std::string_view::npos) {
        out += raw[i];
        continue;
      }
      const auto entity = raw.substr(i + 1, end - 1);
      if (entity == "lt") out += '<';
      else if (entity == "gt") out += '>';
      else if (entity == "amp") out += '&';
      else if (entity == "quot") out += '"';
      else if (entity == "apos") out += '\'';
      else if (!number(entity, out)) out += raw.substr(i, end + 1);
      i += end;
    }
    return out;
  }

  static bool number(std::string_view entity, std::string& out) {
    if (!entity.starts_with('#')) return false;
    entity.remove_prefix(1);
    const bool hex = entity.starts_with('x');
    if (hex) entity.remove_prefix(1);
    std::uint32_t code = 0;
    const auto* last = entity.data() + entity.size();
    const auto [stop, error] = std::from_chars(entity.data(), last, code, hex ? 16 : 10);
    if (error != std::errc() || stop != last) return false;
    append_utf8(out, code);
    return true;
  }

  std::string_view text_;
  Collector out_;
  std::size_t at_ = 0;
  std::string path_;
  std::vector<std::size_t> ends_;  // of each open element: size of the path without it
};

}  // namespace

Result<std::vector<Setting>> read_xml_settings(std::string_view text) { return XmlSettings(text).read(); }

}  // namespace dm::formats

#include <algorithm>

#include "formats/flatten.hpp"

namespace dm::formats {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

/// `[section]`, `key = value`, `key: value`, a key alone; comments with ';', '#' or '!'.
class IniSettings {
 public:
  explicit IniSettings(std::string_view text) : text_(text), out_(text) {}

  Result<std::vector<Setting>> read() {
    std::size_t at = text_.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    while (at < text_.size() && !out_.failed()) {
      const auto stop = std::min(text_.find('\n', at), text_.size());
      line(at, stop);
      at = stop + 1;
    }
    return out_.take();
  }

 private:
  void line(std::size_t begin, std::size_t end) {
    trim(begin, end);
    if (begin == end || text_[begin] == ';' || text_[begin] == '#' || text_[begin] == '!') return;
    if (text_[begin] == '[') {
      const auto close = text_.find(']', begin);
      if (close >= end) return out_.error(begin, "a section without ']'");
      section_ = section(text_.substr(begin + 1, close - begin - 1));
      return;
    }
    auto separator = begin;
    while (separator < end && text_[separator] != '=' && text_[separator] != ':') ++separator;
    auto key_end = separator;
    while (key_end > begin && blank(text_[key_end - 1])) --key_end;
    const auto key = join_key(section_, text_.substr(begin, key_end - begin));
    if (separator == end) return out_.add(key, {}, end, end);
    auto from = separator + 1;
    trim(from, end);
    if (end - from >= 2 && (text_[from] == '"' || text_[from] == '\'')) {
      const auto close = text_.find(text_[from], from + 1);
      if (close < end) return out_.add(key, std::string(text_.substr(from + 1, close - from - 1)), from, close + 1);
    }
    for (auto i = from; i < end; ++i)  // a comment needs a blank before it: passwords hold '#' and ';'
      if ((text_[i] == ';' || text_[i] == '#') && (i == from || blank(text_[i - 1]))) {
        end = i;
        trim(from, end);
        break;
      }
    out_.add(key, std::string(text_.substr(from, end - from)), from, end);
  }

  void trim(std::size_t& begin, std::size_t& end) const {
    while (begin < end && blank(text_[begin])) ++begin;
    while (end > begin && blank(text_[end - 1])) --end;
  }

  /// `a "b"` is a.b, as git writes it.
  static std::string section(std::string_view name) {
    std::string out;
    for (const char c : name)
      if (c == ' ' || c == '\t') out += out.empty() || out.back() == '.' ? "" : ".";
      else if (c != '"') out += c;
    while (out.ends_with('.')) out.pop_back();
    return out;
  }

  std::string_view text_;
  Collector out_;
  std::string section_;
};

}  // namespace

Result<std::vector<Setting>> read_ini_settings(std::string_view text) { return IniSettings(text).read(); }

}  // namespace dm::formats

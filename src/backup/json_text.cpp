#include "backup/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.hpp"

namespace dm::backup {
namespace {

constexpr std::size_t kLongest = 256U << 20U;
constexpr int kDeepest = 1000;  // as deep as the servers themselves take it, and no deeper than we can

bool space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Where the value that begins at `at` ends; npos = it does not.
std::size_t value_end(std::string_view text, std::size_t at) {
  int depth = 0;
  bool in_string = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      else if (c == '"') in_string = false;
      if (!in_string && depth == 0) return at + 1;
      continue;
    }
    if (c == '"') in_string = true;
    else if (c == '{' || c == '[') ++depth;
    else if (c == '}' || c == ']') {
      if (depth == 0) return at;  // after a number or a word
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (c == ',' || space(c))) return at;
  }
  return depth == 0 && !in_string ? at : std::string_view::npos;
}

/// Walks "a, b, c" between the first and the last character of `text`.
Result<void> each_value(std::string_view text, char open, char close, const std::function<Result<std::size_t>(std::string_view rest)>& one) {
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  const auto wrong = [] { return fail(Errc::corrupt, "this is not the JSON that was expected"); };
  if (text.size() < 2 || text.front() != open || text.back() != close) return wrong();
  text = text.substr(1, text.size() - 2);
  const auto skip = [&] {
    while (!text.empty() && space(text.front())) text.remove_prefix(1);
  };
  for (skip(); !text.empty();) {
    DM_TRY(const std::size_t used, one(text));
    if (used == 0 || used > text.size()) return wrong();
    text.remove_prefix(used);
    skip();
    if (text.empty()) return {};
    if (text.front() != ',') return wrong();
    text.remove_prefix(1);
    skip();
    if (text.empty()) return wrong();
  }
  return {};
}

/// Builds the canonical text; the parser that drives it does not recurse.
class Canonical final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return add("null"); }
  bool boolean(bool value) override { return add(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) override { return add(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) override { return add(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return add(text); }
  bool string(std::string& value) override {
    std::string out;
    json_quote(out, value);
    return add(std::move(out));
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool key(std::string& name) override {
    std::string out;
    json_quote(out, name);
    levels_.back().key = std::move(out);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }
  std::string take() { return std::move(done_); }

 private:
  struct Level {
    bool object = false;
    std::string key{};
    std::vector<std::pair<std::string, std::string>> parts{};
  };
  bool add(std::string value) {
    if (levels_.empty()) done_ = std::move(value);
    else levels_.back().parts.emplace_back(levels_.back().key, std::move(value));
    return true;
  }
  bool open(bool object) {
    levels_.push_back({.object = object});
    return levels_.size() <= static_cast<std::size_t>(kDeepest);
  }
  bool close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    if (level.object) std::ranges::sort(level.parts);
    std::string out(1, level.object ? '{' : '[');
    for (const auto& [name, value] : level.parts) {
      if (out.size() > 1) out += ',';
      if (level.object) out += name + ':';
      out += value;
    }
    out += level.object ? '}' : ']';
    return add(std::move(out));
  }
  std::vector<Level> levels_;
  std::string done_;
};

}  // namespace

JsonArrayReader::JsonArrayReader(std::string name, std::function<Result<void>(std::string_view element)> each) : name_(std::move(name)), each_(std::move(each)) {}

Result<void> JsonArrayReader::take(std::string_view bytes) {
  const auto done = [&]() -> Result<void> {
    if (element_.empty()) return {};
    DM_CHECK(each_(element_));
    element_.clear();
    return {};
  };
  for (const char c : bytes) {
    if (ended_) {
      if (!space(c)) return fail(Errc::corrupt, "something follows the server's answer");
      continue;
    }
    if (in_string_) {
      if (inside_) element_ += c;
      else if (depth_ == 1 && key_next_) {
        key_ += c;
        if (key_.size() > 65536) return fail(Errc::corrupt, "a name in the server's answer is too long");
      }
      if (escaped_) escaped_ = false;
      else if (c == '\\') escaped_ = true;
      else if (c == '"') in_string_ = false;
      if (!in_string_ && depth_ == 1 && key_next_) key_.pop_back();
    } else if (c == '"') {
      in_string_ = true;
      if (inside_) element_ += c;
      else if (depth_ == 1 && key_next_) key_.clear();
    } else if (c == '{' || c == '[') {
      if (++depth_ > kDeepest) return fail(Errc::corrupt, "the server's answer is nested too deeply");
      if (depth_ == 1) {
        if (c != '{') return fail(Errc::corrupt, "the server's answer is not the JSON that was expected");
        key_next_ = true;
      } else if (inside_) {
        element_ += c;
      } else if (depth_ == 2 && c == '[' && key_ == name_) {
        inside_ = seen_ = true;
      }
    } else if (c == '}' || c == ']') {
      if (--depth_ < 0) return fail(Errc::corrupt, "the server's answer is not the JSON that was expected");
      if (depth_ == 0) ended_ = true;
      if (inside_ && depth_ == 1) {
        DM_CHECK(done());
        inside_ = false;
      } else if (inside_) {
        element_ += c;
      }
    } else if (c == ',' && inside_ && depth_ == 2) {
      DM_CHECK(done());
    } else if (inside_) {
      if (!space(c)) element_ += c;
    } else if (depth_ == 1 && (c == ':' || c == ',')) {
      key_next_ = c == ',';
    } else if (depth_ == 0 && !space(c)) {
      return fail(Errc::corrupt, "the server's answer is not the JSON that was expected");
    }
    if (element_.size() > kLongest) return fail(Errc::unsupported, "one document is over 256 MiB: that is not saved");
  }
  return {};
}

Result<void> JsonArrayReader::finish() const {
  if (!ended_) return fail(Errc::corrupt, "the server's answer ends in the middle");
  if (!seen_) return fail(Errc::corrupt, fmt::format("the server's answer has no '{}'", name_));
  return {};
}

Result<std::vector<std::pair<std::string, std::string_view>>> json_members(std::string_view object) {
  std::vector<std::pair<std::string, std::string_view>> out;
  DM_CHECK(each_value(object, '{', '}', [&](std::string_view rest) -> Result<std::size_t> {
    const auto wrong = [] { return fail(Errc::corrupt, "this is not the JSON that was expected"); };
    if (rest.front() != '"') return wrong();
    auto at = value_end(rest, 0);
    if (at == std::string_view::npos) return wrong();
    auto name = json_string(rest.substr(0, at));
    while (at < rest.size() && space(rest[at])) ++at;
    if (at == rest.size() || rest[at] != ':') return wrong();
    for (++at; at < rest.size() && space(rest[at]);) ++at;
    const auto end = value_end(rest, at);
    if (end == std::string_view::npos || end == at) return wrong();
    out.emplace_back(std::move(name), rest.substr(at, end - at));
    return end;
  }));
  return out;
}

Result<std::vector<std::string_view>> json_elements(std::string_view array) {
  std::vector<std::string_view> out;
  DM_CHECK(each_value(array, '[', ']', [&](std::string_view rest) -> Result<std::size_t> {
    const auto end = value_end(rest, 0);
    if (end == std::string_view::npos || end == 0) return fail(Errc::corrupt, "this is not the JSON that was expected");
    out.push_back(rest.substr(0, end));
    return end;
  }));
  return out;
}

Result<std::string> json_canonical(std::string_view value) {
  Canonical canonical;
  if (!nlohmann::json::sax_parse(value.begin(), value.end(), &canonical)) return fail(Errc::corrupt, "a value in it is no JSON");
  return canonical.take();
}

std::string json_of(std::string_view text) {
  std::string out;
  json_quote(out, text);
  return out;
}

std::string json_string(std::string_view value) {
  const auto parsed = nlohmann::json::parse(value.begin(), value.end(), nullptr, /*allow_exceptions=*/false);
  return parsed.is_string() ? parsed.get<std::string>() : std::string(value);
}

}  // namespace dm::backup

#include "base/yaml_writer.hpp"

#include <algorithm>
#include <array>

#include "base/json.hpp"

namespace dm {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

/// Some reader takes it for a number, a date, a time, a truth value or nothing.
bool another_type(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  static constexpr std::array<std::string_view, 14> kWords{"", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "=", "<<", "nan"};
  if (std::ranges::find(kWords, lower) != kWords.end()) return true;
  auto rest = std::string_view(lower);
  if (rest.front() == '-' || rest.front() == '+') rest.remove_prefix(1);
  if (rest == ".inf" || rest == ".nan" || rest == "inf") return true;
  if (rest.empty() || !(digit(rest.front()) || (rest.front() == '.' && rest.size() > 1 && digit(rest[1])))) return false;
  if (rest.find_first_not_of("0123456789.") == std::string_view::npos) return std::ranges::count(rest, '.') < 2;  // 1.2.3 is none
  // All that is left of numbers, dates (2024-01-01) and times (12:30:45); a few plain words are quoted without need.
  return rest.find_first_not_of("0123456789abcdefox._+-:") == std::string_view::npos;
}

bool plain(std::string_view text) {
  if (another_type(text)) return false;
  if (std::string_view("!&*-?[]{}|>@`\"'%#,: \t").find(text.front()) != std::string_view::npos) {
    const bool word = (text.front() == '-' || text.front() == '?' || text.front() == ':') && text.size() > 1 && text[1] != ' ' &&
                      !text.starts_with("---");
    if (!word) return false;
  }
  if (text.back() == ' ' || text.back() == '\t' || text.back() == ':' || text.starts_with("...")) return false;
  return text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos && text.find('\t') == std::string_view::npos;
}

bool has_control(std::string_view text, bool lines_allowed) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && !(lines_allowed && text[i] == '\n')) || byte == 0x7F) return true;
    // NEL, LS, PS and the byte order mark end lines or vanish for some readers.
    const auto next = text.substr(i, 3);
    if (next.starts_with("\xC2\x85") || next == "\xE2\x80\xA8" || next == "\xE2\x80\xA9" || next == "\xEF\xBB\xBF") return true;
  }
  return false;
}

bool literal_block(std::string_view text) {
  const auto first = text.find_first_not_of('\n');
  return text.find('\n') != std::string_view::npos && first == 0 && text.front() != ' ' && !has_control(text, true) &&
         text.find(" \n") == std::string_view::npos && !text.ends_with(' ');
}

/// JSON's string, but for the line ends that only YAML knows.
void double_quote(std::string& out, std::string_view text) {
  std::string quoted;
  json_quote(quoted, text);
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted.compare(i, 2, "\xC2\x85") == 0) {
      out += "\\N";
      ++i;
    } else {
      out += quoted[i];
    }
  }
}

}  // namespace

void yaml_scalar(std::string& out, std::string_view text, std::size_t indent) {
  if (!text.empty() && literal_block(text)) {
    out += '|';
    auto body = text;
    if (!body.ends_with('\n')) out += '-';
    else if (body.ends_with("\n\n")) out += '+';
    if (body.ends_with('\n')) body.remove_suffix(1);
    while (true) {
      const auto end = std::min(body.find('\n'), body.size());
      out += '\n';
      if (end > 0) out.append(indent, ' ').append(body.substr(0, end));
      if (end == body.size()) break;
      body.remove_prefix(end + 1);
    }
    return;
  }
  if (has_control(text, false)) return double_quote(out, text);
  if (another_type(text)) return json_quote(out, text);
  if (plain(text)) {
    out += text;
    return;
  }
  out += '\'';
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  out += '\'';
}

void YamlWriter::item() {
  auto& level = levels_.back();
  if (level.mapping) return;
  if (level.empty && after_key_) out_ += '\n';
  if (after_dash_) out_ += "- ";
  else out_.append(level.indent, ' ').append("- ");
  level.empty = false;
  after_key_ = false;
  after_dash_ = true;
}

YamlWriter& YamlWriter::open(bool mapping) {
  if (!levels_.empty()) item();
  const auto indent = levels_.empty() ? 0 : levels_.back().indent + 2;
  levels_.push_back({mapping, true, indent});
  return *this;
}

YamlWriter& YamlWriter::end() {
  const auto level = levels_.back();
  levels_.pop_back();
  if (!level.empty) return *this;
  if (after_key_) out_ += ' ';
  out_ += level.mapping ? "{}\n" : "[]\n";
  after_key_ = after_dash_ = false;
  return *this;
}

YamlWriter& YamlWriter::key(std::string_view name) {
  auto& level = levels_.back();
  if (level.empty && after_key_) out_ += '\n';
  if (!after_dash_) out_.append(level.indent, ' ');
  level.empty = false;
  after_dash_ = false;
  if (name.find('\n') != std::string_view::npos) double_quote(out_, name);
  else yaml_scalar(out_, name, 0);
  out_ += ':';
  after_key_ = true;
  return *this;
}

YamlWriter& YamlWriter::value(std::string_view text) {
  std::string scalar;
  yaml_scalar(scalar, text, levels_.empty() ? 0 : levels_.back().indent + 2);
  return raw(scalar);
}

YamlWriter& YamlWriter::raw(std::string_view scalar) {
  if (!levels_.empty()) item();
  if (after_key_) out_ += ' ';
  out_.append(scalar).append("\n");
  after_key_ = after_dash_ = false;
  return *this;
}

}  // namespace dm

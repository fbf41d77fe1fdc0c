#include "base/json.hpp"

#include <fmt/format.h>

#include "base/utf8.hpp"

namespace dm {

void json_quote(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const char c = text[0];
    std::size_t length = 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else if (length = utf8_length(text); length == 0) {
          length = 1;
          out += "\xEF\xBF\xBD";
        } else {
          out += text.substr(0, length);
        }
    }
    text.remove_prefix(length);
  }
  out += '"';
}

void JsonWriter::before() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (ends_.empty()) return;
  if (!first_) out_ += ',';
  out_ += '\n';
  out_.append(ends_.size() * 2, ' ');
}

JsonWriter& JsonWriter::open(char begin, char end) {
  before();
  out_ += begin;
  ends_.push_back(end);
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::end() {
  const char close = ends_.back();
  ends_.pop_back();
  if (!first_) {
    out_ += '\n';
    out_.append(ends_.size() * 2, ' ');
  }
  out_ += close;
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  before();
  json_quote(out_, name);
  out_ += ": ";
  after_key_ = true;
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  before();
  json_quote(out_, text);
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  before();
  out_ += json;
  first_ = false;
  return *this;
}

}  // namespace dm

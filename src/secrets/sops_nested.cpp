#include "secrets/sops_nested.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace dm::secrets {

MetaNode metadata_tree(const Metadata& metadata) {
  MetaNode root;
  for (const auto& [name, value] : write_metadata(metadata)) {
    MetaNode* node = &root;
    std::string_view rest = name;
    for (;;) {  // "age__list_0__map_enc": a key, then steps
      const auto cut = rest.find("__");
      const auto key = rest.substr(0, cut);
      if (key.starts_with("list_")) node = &node->list[std::strtol(std::string(key.substr(5)).c_str(), nullptr, 10)];
      else node = &node->map[std::string(key.starts_with("map_") ? key.substr(4) : key)];
      const auto next = cut == std::string_view::npos ? std::string_view{} : rest.substr(cut + 2);
      if (!next.starts_with("list_") && !next.starts_with("map_")) break;
      rest = next;
    }
    node->text = value;
  }
  return root;
}

bool bare_metadata(std::string_view name) { return name == "mac_only_encrypted"; }

std::string float_text(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  std::string out;
  if (text.starts_with('-')) out = "-", text.remove_prefix(1);
  const auto e = text.find('e');
  std::string digits(text.substr(0, 1));
  if (e > 2) digits += text.substr(2, e - 2);
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  const int point = exponent + 1;  // digits before the decimal point
  const int count = static_cast<int>(digits.size());
  if (point <= 0) return out + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  if (point >= count) return out + digits + std::string(static_cast<std::size_t>(point - count), '0');
  return out + digits.substr(0, static_cast<std::size_t>(point)) + "." + digits.substr(static_cast<std::size_t>(point));
}

void go_json_quote(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '<':
      case '>':
      case '&': out += fmt::format("\\u{:04x}", static_cast<unsigned>(c)); break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else if (text.substr(i).starts_with("\xE2\x80\xA8") || text.substr(i).starts_with("\xE2\x80\xA9")) {
          out += text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
          i += 2;
        } else out += c;
    }
  }
  out += '"';
}

}  // namespace dm::secrets

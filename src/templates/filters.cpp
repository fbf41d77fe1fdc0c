#include "templates/filters.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/json.hpp"

namespace dm::templates {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

Result<std::string> without_zero(std::string_view value) {
  if (value.find('\0') != std::string_view::npos) return fail(Errc::invalid_input, "holds a zero byte");
  return std::string(value);
}

/// Each byte of `special` with `before` in front of it.
std::string escaped(std::string_view value, std::string_view special, std::string_view before) {
  std::string out;
  out.reserve(value.size() + 8);
  for (const char c : value) {
    if (special.find(c) != std::string_view::npos) out += before;
    out += c;
  }
  return out;
}

bool valid_utf8(std::string_view text) {
  std::string quoted;
  json_quote(quoted, text);  // replaces what is not UTF-8 by U+FFFD
  const auto count = [](std::string_view in) {
    std::size_t n = 0;
    for (auto at = in.find("\xEF\xBF\xBD"); at != std::string_view::npos; at = in.find("\xEF\xBF\xBD", at + 3)) ++n;
    return n;
  };
  return count(quoted) == count(text);
}

Result<std::string> json(std::string_view value) {
  if (!valid_utf8(value)) return fail(Errc::invalid_input, "is not UTF-8; use base64");
  std::string out;
  json_quote(out, value);
  return out;
}

/// A double-quoted scalar: JSON's escapes are YAML's too; what YAML counts as a line end besides is escaped as well.
Result<std::string> yaml(std::string_view value) {
  DM_TRY(const auto quoted, json(value));
  std::string out;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    const auto rest = std::string_view(quoted).substr(i);
    if (rest.starts_with("\xE2\x80\xA8")) out += "\\u2028", i += 2;
    else if (rest.starts_with("\xE2\x80\xA9")) out += "\\u2029", i += 2;
    else if (rest.starts_with("\xC2\x85")) out += "\\u0085", i += 1;
    else if (rest[0] == '\x7f') out += "\\u007f";
    else out += quoted[i];
  }
  return out;
}

Result<std::string> line(std::string_view value) {
  for (const char c : value)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return fail(Errc::invalid_input, "holds a line end or another control character");
  if (!value.empty() && (value.front() == ' ' || value.back() == ' ')) return fail(Errc::invalid_input, "begins or ends with a space");
  if (value.find_first_of(";#") != std::string_view::npos) return fail(Errc::invalid_input, "holds ';' or '#', which begin a comment");
  return std::string(value);
}

Result<std::string> sql(std::string_view value) {
  DM_TRY(const auto clean, without_zero(value));
  if (clean.find('\\') != std::string::npos) return " E'" + escaped(clean, "\\'", "\\") + "'";
  return "'" + escaped(clean, "'", "'") + "'";
}

Result<std::string> mysql(std::string_view value) {
  DM_TRY(const auto clean, without_zero(value));
  return "'" + escaped(clean, "\\'", "\\") + "'";
}

Result<std::string> dotenv(std::string_view value) {
  DM_TRY(const auto clean, without_zero(value));
  if (clean.find('\'') == std::string::npos) return "'" + clean + "'";  // literal to the closing quote
  std::string out = "\"";
  for (const char c : clean) {
    if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '"' || c == '\\' || c == '$') (out += '\\') += c;
    else out += c;
  }
  return out + "\"";
}

Result<std::string> shell(std::string_view value) {
  DM_TRY(const auto clean, without_zero(value));
  std::string out = "'";
  for (const char c : clean) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

Result<std::string> xml(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') return fail(Errc::invalid_input, "holds a character that XML cannot hold");
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else if (c == '\'') out += "&apos;";
    else if (byte < 0x20) out += fmt::format("&#{};", byte);
    else out += c;
  }
  return out;
}

Result<std::string> url(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) out += c;
    else (out += '%') += fmt::format("{:02X}", byte);
  }
  return out;
}

/// userlist.txt: in double quotes, a quote doubled; one entry is one line.
Result<std::string> pgbouncer(std::string_view value) {
  for (const char c : value)
    if (c == '\0' || c == '\n' || c == '\r') return fail(Errc::invalid_input, "holds a line end");
  return escaped(value, "\"", "\"");
}

/// A string of an old-style property list (SOGo), with its quotes.
Result<std::string> plist(std::string_view value) {
  DM_TRY(const auto clean, without_zero(value));
  std::string out = "\"";
  for (const char c : clean) {
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (c == '\n') out += "\\n";
    else out += c;
  }
  return out + "\"";
}

Result<std::string> sha256(std::string_view value) {
  std::array<unsigned char, 32> digest{};
  unsigned size = 0;
  if (EVP_Digest(value.data(), value.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) return fail(Errc::failed, "SHA-256 is not available");
  std::string out;
  for (const auto byte : digest) (out += kHex[byte >> 4U]) += kHex[byte & 15U];
  return out;
}

Result<std::string> base64(std::string_view value) {
  std::string out((value.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(value.data()), static_cast<int>(value.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

Result<std::string> raw(std::string_view value) { return std::string(value); }

constexpr Filter kFilters[] = {
    {"base64", "base64 of the bytes", base64},
    {"dotenv", "a quoted value of a .env file, as Compose reads it", dotenv},
    {"json", "a JSON string with its quotes (also a Python or TOML basic string)", json},
    {"line", "as it is; refuses line ends, outer spaces and ';' '#', for ini files that have no quotes", line},
    {"mysql", "an SQL string with its quotes for MariaDB and MySQL", mysql},
    {"pgbouncer", "the inside of the quotes in PgBouncer's userlist.txt", pgbouncer},
    {"plist", "a string of an old-style property list with its quotes", plist},
    {"raw", "as it is, whatever it holds", raw},
    {"sha256", "SHA-256 in hexadecimal digits", sha256},
    {"shell", "one word of a shell command with its quotes", shell},
    {"sql", "an SQL string with its quotes for PostgreSQL", sql},
    {"url", "percent-encoded, for any part of a URL", url},
    {"xml", "text or attribute of XML", xml},
    {"yaml", "a YAML scalar with its quotes", yaml},
};

}  // namespace

std::span<const Filter> filters() { return kFilters; }

const Filter* find_filter(std::string_view name) {
  const auto* found = std::ranges::find(kFilters, name, &Filter::name);
  return found == std::end(kFilters) ? nullptr : found;
}

bool plain_value(std::string_view value) {
  return std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("._:/@+=,-").find(c) != std::string_view::npos;
  });
}

}  // namespace dm::templates

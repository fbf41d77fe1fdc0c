#include <fmt/format.h>

#include "secrets/age.hpp"
#include "secrets/crypto.hpp"

namespace dm::secrets {
namespace {

constexpr std::string_view kBegin = "-----BEGIN AGE ENCRYPTED FILE-----";
constexpr std::string_view kEnd = "-----END AGE ENCRYPTED FILE-----";
constexpr std::string_view kSpace = " \t\r\n\v\f";
constexpr std::size_t kMaxSpace = 1024;

auto armor_error(std::string_view what) { return undecryptable(fmt::format("age armor: {}", what)); }

std::string_view without_space_before(std::string_view text) {
  const auto at = text.find_first_not_of(kSpace);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at);
}

/// The next line without LF or CRLF; `complete` says whether it had one.
std::string_view take_line(std::string_view& text, bool& complete) {
  const auto end = text.find('\n');
  complete = end != std::string_view::npos;
  auto line = text.substr(0, end);
  text.remove_prefix(complete ? end + 1 : text.size());
  if (complete && line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

bool looks_like_age(std::string_view bytes) {
  return bytes.starts_with("age-encryption.org/") || without_space_before(bytes).starts_with("-----BEGIN AGE");
}

std::string armor(std::string_view age_file) {
  std::string out(kBegin);
  out += '\n';
  const auto text = base64(age_file, true);
  for (std::size_t i = 0; i < text.size(); i += 64) out += text.substr(i, 64) + "\n";
  out += kEnd;
  out += '\n';
  return out;
}

Result<std::string> unarmor(std::string_view text) {
  const auto inside = without_space_before(text);
  if (text.size() - inside.size() > kMaxSpace) return armor_error("too much white space before it");
  text = inside;
  bool complete = false;
  if (take_line(text, complete) != kBegin || !complete) return armor_error("its first line is wrong");
  std::string bytes;
  for (bool short_line = false;;) {
    const auto line = take_line(text, complete);
    if (line == kEnd) break;
    if (!complete) return armor_error("cut short");
    if (short_line) return armor_error("a short line is not the last");
    if (line.empty() || line.size() > 64) return armor_error("a line is empty or too long");
    short_line = line.size() < 64;
    const auto piece = unbase64(line, /*padded=*/true);
    if (!piece) return armor_error("no canonical base64");
    if (!short_line && line.ends_with('=')) short_line = true;
    bytes += *piece;
  }
  if (text.size() > kMaxSpace || !without_space_before(text).empty()) return armor_error("something follows it");
  return bytes;
}

}  // namespace dm::secrets

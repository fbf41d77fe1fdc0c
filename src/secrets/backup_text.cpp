#include "secrets/backup_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "secrets/crypto.hpp"

namespace dm::secrets {
namespace {

constexpr std::size_t kGroup = 4, kGroups = 4;  // 74 characters: five lines

std::string check_of(std::size_t number, std::string_view characters) {
  std::string text = fmt::format("{}:{}", number, characters);
  const auto out = hex(sha256(text)).substr(0, 4);
  wipe(text);
  return out;
}

}  // namespace

SecretString key_on_paper(const X25519Identity& identity, std::string_view when) {
  SecretString out(fmt::format("datamancy key backup of {}\nopens what is sealed for {}\n", when, identity.recipient()));
  const auto key = identity_text(identity);
  const auto text = key.reveal();
  std::size_t number = 1;
  for (std::size_t at = 0; at < text.size(); at += kGroup * kGroups, ++number) {
    const auto line = text.substr(at, kGroup * kGroups);
    out.append(fmt::format("{}: ", number));
    for (std::size_t i = 0; i < line.size(); i += kGroup) {
      out.append(line.substr(i, kGroup));
      out.append(' ');
    }
    out.append(fmt::format("= {}\n", check_of(number, line)));
  }
  return out;
}

Result<X25519Identity> key_from_paper(std::string_view text) {
  std::map<std::size_t, SecretString> lines;
  for (std::size_t row = 1; !text.empty(); ++row) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    SecretString bare;
    for (const char c : line) {
      if (c == ' ' || c == '\t' || c == '\r') continue;
      bare.append(c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
    }
    const auto content = bare.reveal();
    if (content.starts_with("AGE-SECRET-KEY-1") && content.size() == 74) return parse_identity(content);
    if (content.size() < 3 || content[0] < '1' || content[0] > '9' || content[1] != ':') continue;
    const auto number = static_cast<std::size_t>(content[0] - '0');
    const auto sign = content.find('=');
    if (sign == std::string_view::npos) return fail(Errc::invalid_input, fmt::format("line {} of the backup has no '=' and check", number));
    auto check = std::string(content.substr(sign + 1));
    std::ranges::transform(check, check.begin(), [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    const auto characters = content.substr(2, sign - 2);
    if (check != check_of(number, characters)) return fail(Errc::invalid_input, fmt::format("line {} of the backup is not as it was printed", number));
    lines[number] = SecretString(characters);
  }
  SecretString all;
  for (std::size_t number = 1; number <= 5; ++number) {
    const auto found = lines.find(number);
    if (found == lines.end()) return fail(Errc::invalid_input, fmt::format("line {} of the backup is missing", number));
    all.append(found->second.reveal());
  }
  return parse_identity(all.reveal());
}

}  // namespace dm::secrets

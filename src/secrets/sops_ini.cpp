// Read only: what SOPS writes as INI loses comments and spacing, and nobody needs it for Compose.
#include <fmt/format.h>

#include <algorithm>

#include "secrets/sops.hpp"

namespace dm::secrets {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\\n")) out += '\n', ++i;
    else out += text[i];
  }
  return out;
}

}  // namespace

Result<Document> stores::read_ini(std::string_view text) {
  Document out{Store::ini, {}, {}, false, std::string(text)};
  std::vector<std::pair<std::string, std::string>> flat;
  std::string section = "DEFAULT";
  std::size_t at = 0;
  for (std::size_t number = 1; at < text.size(); ++number) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = trimmed(text.substr(at, end - at));
    const auto begin = static_cast<std::uint32_t>(line.empty() ? at : static_cast<std::size_t>(line.data() - text.data()));
    at = end + 1;
    if (line.empty()) continue;
    if (line[0] == '[') {
      if (!line.ends_with(']')) return undecryptable(fmt::format("line {}: a section has no end", number));
      section = trimmed(line.substr(1, line.size() - 2));
      continue;
    }
    if (line[0] == ';' || line[0] == '#') {
      // A comment belongs to what follows it; its path is not known here, and no MAC covers it.
      continue;
    }
    const auto cut = line.find_first_of("=:");
    if (cut == std::string_view::npos) return undecryptable(fmt::format("line {}: no '=' in it", number));
    const auto key = trimmed(line.substr(0, cut));
    auto value = trimmed(line.substr(cut + 1));
    const auto offset = begin + static_cast<std::uint32_t>(value.empty() ? line.size() : static_cast<std::size_t>(value.data() - line.data()));
    const text::Span where{offset, offset + static_cast<std::uint32_t>(value.size())};
    if (section == "sops") {
      flat.emplace_back(key, unescaped(value));
      continue;
    }
    if (value.size() >= 2 && (value[0] == '"' || value[0] == '`' || value[0] == '\'') && value.back() == value[0]) value = value.substr(1, value.size() - 2);
    out.leaves.push_back({{section, std::string(key)}, LeafType::str, SecretString(value), where, number});
  }
  if (flat.empty()) return undecryptable("it has no [sops] section");
  DM_TRY(out.sops, read_metadata(flat));
  out.has_sops = true;
  return out;
}

SecretString stores::plain_ini(const Opened& opened) {
  const std::string_view source = opened.document.source;
  SecretString out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < opened.values.size(); ++i) {
    const auto& where = opened.document.leaves[i].where;
    out.append(source.substr(at, where.begin - at));
    out.append(opened.values[i].plain.reveal());
    at = where.end;
  }
  // [sops] is the last section that `sops` writes; what follows it is metadata.
  const auto block = source.find("[sops]", at);
  auto rest = source.substr(at, block == std::string_view::npos ? block : block - at);
  while (rest.ends_with("\n\n")) rest.remove_suffix(1);
  out.append(rest);
  return out;
}

}  // namespace dm::secrets

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "formats/dotenv.hpp"
#include "secrets/sops.hpp"

namespace dm::secrets {
namespace {

constexpr std::string_view kPrefix = "sops_";

/// Calls `take(line, number)` for each line; LF is the only line end.
template <class F>
void each_line(std::string_view text, F&& take) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    take(text.substr(0, end), number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

SecretString unescaped(std::string_view text) {
  SecretString out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\\n")) {
      out.append('\n');
      ++i;
    } else {
      out.append(text[i]);
    }
  }
  return out;
}
void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n') out += "\\n";
    else out += c;
  }
}

}  // namespace

Result<Document> stores::read_dotenv(std::string_view text) {
  Document out{Store::dotenv, {}, {}, false, {}};
  std::vector<std::pair<std::string, std::string>> flat;
  std::size_t wrong = 0;
  each_line(text, [&](std::string_view line, std::size_t number) {
    if (line.empty() || wrong != 0) return;
    if (line[0] == '#') {
      out.leaves.push_back({{}, LeafType::comment, SecretString(line.substr(1)), {}, number});
      return;
    }
    const auto cut = line.find('=');
    if (cut == std::string_view::npos) {
      wrong = number;
      return;
    }
    const auto key = line.substr(0, cut);
    auto value = unescaped(line.substr(cut + 1));
    if (key.starts_with(kPrefix)) flat.emplace_back(key.substr(kPrefix.size()), value.reveal());
    else out.leaves.push_back({{std::string(key)}, LeafType::str, std::move(value), {}, number});
  });
  if (wrong != 0) return fail_as(kCannotDecrypt, Errc::invalid_input, fmt::format("line {}: no '=' in it", wrong));
  if (flat.empty()) return out;
  out.has_sops = true;
  if (std::ranges::none_of(flat, [](const auto& entry) { return entry.first == "mac" || entry.first == "version"; })) return out;
  DM_TRY(out.sops, read_metadata(flat));
  return out;
}

std::string stores::write_dotenv(const Document& document) {
  std::string out;
  for (const auto& leaf : document.leaves) {
    if (leaf.type == LeafType::comment) out += "#";
    else out += leaf.path.at(0) + "=";
    if (leaf.type == LeafType::comment) out += leaf.text.reveal();
    else append_escaped(out, leaf.text.reveal());
    out += '\n';
  }
  if (document.has_sops) {
    for (const auto& [name, value] : write_metadata(document.sops)) {
      out += fmt::format("{}{}=", kPrefix, name);
      append_escaped(out, value);
      out += '\n';
    }
  }
  return out;
}

std::vector<DotenvTrouble> dotenv_troubles(std::string_view text) {
  std::vector<DotenvTrouble> out;
  const auto trouble = [&](std::size_t line, std::string what) { out.push_back({line, std::move(what)}); };
  if (text.starts_with("\xEF\xBB\xBF")) trouble(1, "a byte order mark; remove it");
  std::set<std::string, std::less<>> names;
  std::vector<std::pair<std::size_t, std::string>> by_sops;
  each_line(text, [&](std::string_view line, std::size_t number) {
    if (line.empty() || line[0] == '#') return;
    if (line.ends_with('\r')) return trouble(number, "a CR before the line end, which would become part of the value; save with LF line ends");
    const auto content = line.find_first_not_of(" \t");
    if (content == std::string_view::npos) return trouble(number, "white space alone; make it an empty line");
    if (line[content] == '#') return trouble(number, "an indented comment; begin it in the first column");
    if (line.starts_with("export ") || line.starts_with("export\t")) return trouble(number, "'export' would become part of the name; remove it");
    const auto cut = line.find('=');
    if (cut == std::string_view::npos) return trouble(number, "no '=': a name alone, or a value over several lines; write line ends as \\n inside double quotes");
    const auto key = line.substr(0, cut);
    if (key.find(':') != std::string_view::npos) return trouble(number, "the 'NAME: value' form; write NAME=value");
    if (key.empty() || key.find_first_of(" \t") != std::string_view::npos) return trouble(number, "the name is empty or has white space");
    if (key.starts_with("sops_")) return trouble(number, "a name that begins with 'sops_' is taken for metadata; choose another");
    if (!names.emplace(key).second) return trouble(number, fmt::format("'{}' is set twice; remove one", key));
    by_sops.emplace_back(number, key);
  });
  if (!out.empty()) return out;
  // The two readings must now agree in their names, one by one.
  const auto compose = formats::parse_dotenv(text, [](std::string_view, const std::vector<formats::DotenvEntry>&, std::string& to) {
    to.clear();
    return true;
  });
  const text::LineIndex lines(text);
  for (const auto& error : compose.errors) trouble(lines.position(text, error.where.begin).line, "Compose cannot read this line (an open quote, or an odd name)");
  if (!out.empty()) return out;
  for (std::size_t i = 0; i < std::max(by_sops.size(), compose.entries.size()); ++i) {
    const bool both = i < by_sops.size() && i < compose.entries.size();
    if (both && by_sops[i].second == compose.entries[i].key) continue;
    const auto line = i < compose.entries.size() ? lines.position(text, compose.entries[i].key_span.begin).line : by_sops[i].first;
    trouble(i < by_sops.size() ? std::min(line, by_sops[i].first) : line, "Compose and SOPS read different names here (a quote over several lines?)");
    break;
  }
  return out;
}

SecretString dotenv_value(std::string_view value) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+,=-";
  if (!value.empty() && value.find_first_not_of(kPlain) == std::string_view::npos) return SecretString(value);
  SecretString out;
  out.reserve(value.size() * 2 + 2);
  if (value.find_first_of("'\\\n") == std::string_view::npos) {
    out.append('\'');
    out.append(value);
    out.append('\'');
    return out;
  }
  out.append('"');
  for (const char c : value) {
    if (c == '\n') {
      out.append("\\n");
      continue;
    }
    if (c == '\\' || c == '"' || c == '$') out.append('\\');
    out.append(c);
  }
  out.append('"');
  return out;
}

}  // namespace dm::secrets

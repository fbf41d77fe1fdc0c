#include "scaffold/fragment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace dm::scaffold {

Lines lines_of(std::string_view text) {
  Lines out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }
std::string_view word_of(std::string_view line) { return line.substr(indent_of(line)); }

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  return text;
}

Lines block(std::string_view text, std::string_view head) {
  Lines out;
  bool inside = false;
  for (auto& line : lines_of(text)) {
    if (inside && !line.empty() && indent_of(line) <= indent_of(head)) break;
    if (inside && !line.empty()) out.push_back(std::move(line));
    else if (line == head) inside = true;
  }
  return out;
}

Lines below(const Lines& lines, std::string_view key) {
  Lines out;
  std::size_t indent = std::string::npos;
  for (const auto& line : lines) {
    if (indent != std::string::npos) {
      if (indent_of(line) <= indent) break;
      out.push_back(line);
    } else if (word_of(line).starts_with(key) && word_of(line).substr(key.size()).starts_with(":")) {
      indent = indent_of(line);
      if (const auto rest = word_of(line).substr(key.size() + 1); !rest.empty()) return {std::string(word_of(rest))};
    }
  }
  return out;
}

bool has(const Lines& lines, std::string_view key) {
  return std::ranges::any_of(lines, [&](const auto& line) { return word_of(line).starts_with(fmt::format("{}:", key)); });
}

std::set<std::string> names_in(const Lines& list) {
  std::set<std::string> out;
  for (const auto& line : list) {
    std::string word, key;
    for (const char c : line + " ") {
      if (!key.empty() && std::string_view(",}]").find(c) == std::string_view::npos) {
        word += c;  // the value, whatever it holds
      } else if (key.empty() && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (c == '-' && !word.empty()))) {
        word += c;
      } else if (key.empty() && c == ':') {
        key = std::exchange(word, {});
      } else if (!word.empty()) {
        if (key.empty() || key == "source") out.insert(std::string(word_of(word)));
        word.clear();
        key.clear();
      }
    }
    // `name:` and `name: {...}` of a block map
    if (const auto colon = line.find(':'); indent_of(line) > 0 && colon != std::string::npos && word_of(line)[0] != '-') out.insert(std::string(word_of(line).substr(0, colon - indent_of(line))));
  }
  return out;
}

bool refers(const Lines& lines, const Shared& shared) {
  return std::ranges::any_of(lines, [&](const auto& line) {
    return std::ranges::any_of(shared.anchors, [&](const auto& anchor) {
      const auto at = line.find("*" + anchor);
      return at != std::string::npos && (at + anchor.size() + 1 == line.size() || std::string_view(" ,}]").find(line[at + anchor.size() + 1]) != std::string_view::npos);
    });
  });
}

std::vector<Shared> shared_blocks(std::string_view fragment) {
  std::vector<Shared> out;
  for (const auto& line : lines_of(fragment)) {
    if (!line.starts_with("x-") || line.starts_with("x-logging:") || line.starts_with("x-service:")) continue;
    Shared one{line, block(fragment, line), {}};
    auto all = one.lines;
    all.push_back(line);
    for (const auto& text : all)
      for (auto at = text.find(" &"); at != std::string::npos; at = text.find(" &", at + 1)) {
        const auto end = text.find_first_of(" {", at + 2);
        one.anchors.push_back(text.substr(at + 2, end == std::string::npos ? end : end - at - 2));
      }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace dm::scaffold

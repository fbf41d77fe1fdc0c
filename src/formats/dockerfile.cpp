#include "formats/dockerfile.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

namespace dm::formats {
namespace {

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// The word that ends the here-document which `line` opens, if it opens one.
std::string here_word(std::string_view line) {
  const auto at = line.find("<<");
  if (at == std::string_view::npos) return {};
  auto rest = line.substr(at + 2);
  if (rest.starts_with('-')) rest.remove_prefix(1);
  std::string word;
  for (const char c : rest) {
    if (c == '"' || c == '\'') continue;
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') break;
    word += c;
  }
  return word;
}

bool equal_fold(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; (at = text.find_first_not_of(" \t", at)) != std::string_view::npos;) {
    const auto end = std::min(text.find_first_of(" \t", at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

using Arguments = std::map<std::string, std::string, std::less<>>;

/// Replaces $NAME, ${NAME}, ${NAME:-x} and ${NAME-x}. Nothing where a name has no value.
std::optional<std::string> replace(std::string_view text, const Arguments& known) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '$') {
      out += text[at++];
      continue;
    }
    ++at;
    const bool braces = at < text.size() && text[at] == '{';
    if (braces) ++at;
    auto end = at;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) ++end;
    const auto found = known.find(text.substr(at, end - at));
    std::string_view fallback;
    at = end;
    if (braces) {
      const auto close = text.find('}', at);
      if (close == std::string_view::npos) return std::nullopt;
      fallback = text.substr(at, close - at);
      at = close + 1;
      if (fallback.starts_with(':')) fallback.remove_prefix(1);
      fallback = fallback.starts_with('-') ? fallback.substr(1) : std::string_view();
    }
    if (found == known.end() && fallback.empty()) return std::nullopt;
    out += found == known.end() ? std::string(fallback) : found->second;
  }
  return out;
}

struct Stage {
  std::string image;   ///< as written, arguments replaced; "" = unknown
  std::string name;    ///< "" = none
  std::size_t begin = 0, end = 0;  ///< its instructions, without FROM
};

/// `target` (a stage; "" = the last one) and the stages that it stands upon, the lowest last; empty where there is none.
std::vector<Stage> chain(const std::vector<DockerInstruction>& instructions, std::string_view target, const Arguments& arguments) {
  Arguments known;
  std::vector<Stage> stages;
  for (std::size_t i = 0; i < instructions.size(); ++i) {
    const auto& instruction = instructions[i];
    if (instruction.keyword == "ARG" && stages.empty()) {
      for (const auto word : words(instruction.text)) {
        const auto cut = word.find('=');
        const auto name = word.substr(0, cut);
        if (const auto given = arguments.find(name); given != arguments.end()) {
          known.insert_or_assign(std::string(name), given->second);
        } else if (cut != std::string_view::npos) {
          auto value = word.substr(cut + 1);
          if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) value = value.substr(1, value.size() - 2);
          if (auto text = replace(value, known)) known.insert_or_assign(std::string(name), *std::move(text));
        }
      }
    }
    if (instruction.keyword != "FROM") {
      if (!stages.empty()) stages.back().end = i + 1;
      continue;
    }
    auto parts = words(instruction.text);
    std::erase_if(parts, [](std::string_view word) { return word.starts_with("--"); });
    if (parts.empty()) continue;
    Stage stage{replace(parts[0], known).value_or(""), {}, i + 1, i + 1};
    if (parts.size() >= 3 && equal_fold(parts[1], "as")) stage.name = parts[2];
    stages.push_back(std::move(stage));
  }
  if (stages.empty()) return {};
  auto at = stages.size() - 1;
  if (!target.empty()) {
    const auto found = std::ranges::find_if(stages, [&](const Stage& stage) { return equal_fold(stage.name, target); });
    if (found == stages.end()) return {};
    at = static_cast<std::size_t>(found - stages.begin());
  }
  std::vector<Stage> out;
  // A stage can only build on an earlier one, so this ends.
  for (;;) {
    out.push_back(stages[at]);
    const auto below = std::find_if(stages.begin(), stages.begin() + static_cast<std::ptrdiff_t>(at), [&](const Stage& stage) {
      return !stage.name.empty() && equal_fold(stage.name, stages[at].image);
    });
    if (below == stages.begin() + static_cast<std::ptrdiff_t>(at)) return out;
    at = static_cast<std::size_t>(below - stages.begin());
  }
}

}  // namespace

std::vector<DockerInstruction> parse_dockerfile(std::string_view text) {
  std::vector<DockerInstruction> out;
  std::uint32_t number = 0;
  char escape = '\\';
  bool directives = true;  // only before anything else
  while (!text.empty()) {
    auto line = trim(take_line(text));
    ++number;
    if (line.starts_with('#')) {
      if (directives && line.find("escape") != std::string_view::npos && line.ends_with('`')) escape = '`';
      continue;
    }
    directives = false;
    if (line.empty()) continue;
    const auto begin = number;
    std::string joined;
    for (;;) {
      const bool more = line.ends_with(escape);
      joined += more ? line.substr(0, line.size() - 1) : line;
      if (!more) break;
      // Empty lines and comments between continued lines do not end them.
      line = {};
      while (!text.empty() && (line.empty() || line.starts_with('#'))) {
        line = trim(take_line(text));
        ++number;
      }
      if (line.empty() || line.starts_with('#')) break;
      joined += ' ';
    }
    const auto cut = std::min(joined.find_first_of(" \t"), joined.size());
    std::string keyword = joined.substr(0, cut);
    if (!std::ranges::all_of(keyword, [](unsigned char c) { return std::isalpha(c) != 0; })) continue;
    std::ranges::transform(keyword, keyword.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (const auto word = keyword == "RUN" || keyword == "COPY" || keyword == "ADD" ? here_word(joined) : std::string(); !word.empty()) {
      while (!text.empty()) {
        ++number;
        if (trim(take_line(text)) == word) break;
      }
    }
    out.push_back({std::move(keyword), std::string(trim(std::string_view(joined).substr(cut))), begin});
  }
  return out;
}

std::string base_image(const std::vector<DockerInstruction>& instructions, std::string_view target, const Arguments& arguments) {
  const auto stages = chain(instructions, target, arguments);
  return stages.empty() || stages.back().image == "scratch" ? std::string() : stages.back().image;
}

std::vector<DockerInstruction> image_instructions(const std::vector<DockerInstruction>& instructions, std::string_view target) {
  auto stages = chain(instructions, target, {});
  std::vector<DockerInstruction> out;
  for (; !stages.empty(); stages.pop_back())
    for (auto i = stages.back().begin; i < stages.back().end; ++i) out.push_back(instructions[i]);
  return out;
}

}  // namespace dm::formats

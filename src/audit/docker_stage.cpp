#include "audit/docker_stage.hpp"

#include <algorithm>
#include <cctype>
#include <ranges>

#include "audit/scripts.hpp"
#include "base/words.hpp"

namespace dm::audit {
namespace {

struct From {
  std::string image, name;  ///< name in small letters
  std::size_t at = 0, size = 0;  ///< of the image, in the line's rest
};

From read_from(const DockerfileLine& line) {
  From out;
  const auto parts = words(line.rest);
  const auto image = std::ranges::find_if(parts, [](const auto& word) { return !word.text.starts_with("--"); });
  if (image == parts.end()) return out;
  out = {image->text, {}, image->at, image->size};
  if (parts.end() - image >= 3 && lowered((image + 1)->text) == "as") out.name = lowered((image + 2)->text);
  return out;
}

}  // namespace

std::optional<std::vector<DockerfileLine>> stage_lines(const std::vector<DockerfileLine>& lines, std::string_view target) {
  struct Stage {
    From from;
    std::size_t begin = 0, end = 0;
  };
  std::vector<Stage> stages;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].instruction != "FROM") continue;
    if (!stages.empty()) stages.back().end = i;
    stages.push_back({read_from(lines[i]), i, lines.size()});
  }
  if (stages.empty()) return std::nullopt;
  const auto index_of = [&](const std::string& name, std::size_t before) -> std::optional<std::size_t> {
    for (std::size_t i = before; i-- > 0;)
      if (stages[i].from.name == name) return i;
    return std::nullopt;
  };
  std::size_t at = stages.size() - 1;
  if (!target.empty()) {
    if (const auto found = index_of(lowered(target), stages.size()); found) {
      at = *found;
    } else if (std::ranges::all_of(target, [](unsigned char c) { return std::isdigit(c) != 0; }) && target.size() < 4 && std::stoul(std::string(target)) < stages.size()) {
      at = std::stoul(std::string(target));
    } else {
      return std::nullopt;
    }
  }
  std::vector<std::size_t> chain{at};
  while (const auto below = index_of(lowered(stages[chain.back()].from.image), chain.back())) chain.push_back(*below);
  std::vector<DockerfileLine> out;
  for (auto one = chain.rbegin(); one != chain.rend(); ++one)
    out.insert(out.end(), lines.begin() + static_cast<std::ptrdiff_t>(stages[*one].begin), lines.begin() + static_cast<std::ptrdiff_t>(stages[*one].end));
  return out;
}

StageBase base_of(const std::vector<DockerfileLine>& stage) {
  if (stage.empty()) return {};
  const auto from = read_from(stage.front());
  if (from.image == "scratch" || from.image.find('$') != std::string::npos) return {};
  return {from.image, stage.front().begin + stage.front().rest_at + from.at, from.size};
}

std::string in_folder(std::string_view path, std::string_view folder) { return sources::clean_path(path, std::string(folder.empty() ? "/" : folder)); }

}  // namespace dm::audit

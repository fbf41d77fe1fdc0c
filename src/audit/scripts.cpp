#include "audit/scripts.hpp"

#include <algorithm>
#include <set>

namespace dm::audit {
namespace {

constexpr std::size_t kScripts = 200;
constexpr std::uint64_t kLargest = 256U << 10U;
constexpr int kDepth = 3;

bool is_script(std::string_view name) {
  return name.ends_with(".sh") || name.ends_with(".bash") || name.ends_with(".mk") || name == "Makefile" ||
         name == "makefile" || name == "justfile";
}

void find_scripts(const sources::Files& files, const std::string& folder, int depth, std::vector<std::string>& out) {
  for (const auto& name : files.list(folder)) {
    if (name.starts_with('.') || name == "node_modules" || name == "vendor") continue;
    const auto path = (folder == "/" ? folder : folder + "/") + name;
    if (is_script(name)) {
      const auto found = files.stat(path);
      if (found.kind == sources::Kind::regular && found.size <= kLargest && out.size() < kScripts) out.push_back(path);
    } else if (depth < kDepth && files.stat(path).kind == sources::Kind::directory && !files.stat(path).symlink) {
      find_scripts(files, path, depth + 1, out);
    }
  }
}

bool prints(std::string_view line) {
  return line.starts_with("echo ") || line.starts_with("@echo ") || line.starts_with("printf ");
}

/// One or two characters of the shell that end a word, "" for none.
std::string_view operator_at(std::string_view text) {
  for (const std::string_view two : {"&&", "||", ">>", "<<", ";;", "|&"})
    if (text.starts_with(two)) return text.substr(0, 2);
  const bool one = !text.empty() && std::string_view("|&;<>()").find(text[0]) != std::string_view::npos;
  return text.substr(0, one ? 1 : 0);
}

}  // namespace

Location ScriptLine::place(std::size_t at, std::size_t size) const {
  const auto from = begin + static_cast<std::uint32_t>(at);
  return {file, {from, from + static_cast<std::uint32_t>(size)}};
}

std::vector<ScriptWord> words(std::string_view line) {
  std::vector<ScriptWord> out;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == ' ' || line[at] == '\t') {
      ++at;
      continue;
    }
    if (line[at] == '#') break;
    if (const auto found = operator_at(line.substr(at)); !found.empty()) {
      out.push_back({std::string(found), at, found.size(), false});
      at += found.size();
      continue;
    }
    ScriptWord word;
    word.at = at;
    while (at < line.size() && line[at] != ' ' && line[at] != '\t' && operator_at(line.substr(at)).empty()) {
      if (line[at] == '\'' || line[at] == '"') {
        const auto close = line.find(line[at], at + 1);
        if (close != std::string_view::npos) {
          word.text += line.substr(at + 1, close - at - 1);
          word.quoted = true;
          at = close + 1;
          continue;
        }
      }
      if (line[at] == '\\' && at + 1 < line.size()) ++at;
      word.text += line[at++];
    }
    word.size = at - word.at;
    out.push_back(std::move(word));
  }
  return out;
}

std::vector<ScriptCommand> commands(std::string_view line) {
  std::vector<ScriptCommand> out(1);
  for (auto& word : words(line)) {
    std::string_view cut;
    if (!word.quoted)
      for (const std::string_view one : {"|", "|&", ";", ";;", "&&", "||", "&", "(", ")"})
        if (word.text == one) cut = one;
    if (cut.empty()) {
      out.back().words.push_back(std::move(word));
      continue;
    }
    out.emplace_back();
    out.back().after = cut;
  }
  // What stands before a command is none of it: `@sudo -n`, `if !`, `A=b`.
  for (auto& command : out) {
    auto& parts = command.words;
    while (!parts.empty()) {
      auto& first = parts.front().text;
      if (first.size() > 1 && (first[0] == '@' || first[0] == '-')) first.erase(0, 1);
      static constexpr std::string_view kBefore[] = {"sudo", "if",   "!",    "then", "do", "while",
                                                     "time", "exec", "else", "{",    "$"};
      const bool sets = first.find('=') != std::string::npos && first[0] != '=' && !parts.front().quoted;
      const bool before = sets || std::ranges::find(kBefore, first) != std::end(kBefore);
      if (!before) break;
      parts.erase(parts.begin());
    }
  }
  return out;
}

std::vector<ScriptLine> script_lines(const Input& input) {
  std::vector<std::string> paths;
  find_scripts(input.files, input.project.folder, 0, paths);
  std::vector<ScriptLine> out;
  for (const auto& path : paths) {
    const auto file = input.texts_owner.texts.open(path, kLargest);
    if (!file) continue;
    const std::string_view content = input.project.texts.at(*file).content;
    for (std::size_t at = 0; at < content.size();) {
      ScriptLine line{*file, static_cast<std::uint32_t>(at), {}, sources::parent_path(path)};
      for (bool more = true; more && at < content.size();) {
        const auto end = std::min(content.find('\n', at), content.size());
        line.text += content.substr(at, end - at);
        at = std::min(end + 1, content.size());
        more = line.text.ends_with('\\');
        if (more) line.text.back() = ' ', line.text += ' ';
      }
      const auto first = line.text.find_first_not_of(" \t");
      if (first == std::string::npos || line.text[first] == '#') continue;
      if (prints(std::string_view(line.text).substr(first))) continue;
      out.push_back(std::move(line));
    }
  }
  return out;
}

std::vector<DatabaseScript> database_scripts(const Input& input) {
  std::vector<DatabaseScript> out;
  std::set<sources::FileId> seen;
  for (const auto& config : input.wiring.config_files) {
    const bool shell = config.format == "shell";
    if (config.file == sources::kNoFile || (!shell && config.format != "sql") || !seen.insert(config.file).second) continue;
    const std::string_view text = input.project.texts.at(config.file).content;
    const auto calls = [&](std::string_view client) { return text.find(client) != std::string_view::npos; };
    if (shell && !calls("psql") && !calls("mysql") && !calls("mariadb")) continue;
    out.push_back({&config, text, shell});
  }
  return out;
}

}  // namespace dm::audit

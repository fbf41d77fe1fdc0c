/// Shell scripts and Makefiles of the project, as lines of commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/rule.hpp"

namespace dm::audit {

/// A line as the shell reads it. What a backslash joins is one line; breaks are blanks there, so that offsets
/// stay true.
struct ScriptLine {
  sources::FileId file = sources::kNoFile;
  std::uint32_t begin = 0;
  std::string text;
  std::string folder;  ///< of the script, absolute
  /// The place of a part of `text`.
  Location place(std::size_t at, std::size_t size) const;
};

/// Words of a command, quotes taken off; `|`, `;`, `&&`, `||`, `>` and the like are words of their own.
struct ScriptWord {
  std::string text;
  std::size_t at = 0;    ///< in ScriptLine::text
  std::size_t size = 0;
  bool quoted = false;   ///< wholly or in part: never an operator
};
std::vector<ScriptWord> words(std::string_view line);
/// The commands of a line, cut at `|`, `;`, `&&`, `||`, `&`, each with the operator before it ("" for the first).
struct ScriptCommand {
  std::string_view after;
  std::vector<ScriptWord> words;
  std::string_view name() const { return words.empty() ? std::string_view() : std::string_view(words[0].text); }
};
std::vector<ScriptCommand> commands(std::string_view line);

/// Lines without comments and without what only prints. Scripts lie at most three folders deep in the project's;
/// hidden folders and those of packages are not looked at.
std::vector<ScriptLine> script_lines(const Input& input);

/// A mounted file that a database runs on its first start: SQL, or a shell script that calls a client.
struct DatabaseScript {
  const wiring::ConfigFile* config = nullptr;  ///< one of those that mount it
  std::string_view text;
  bool shell = false;
};
std::vector<DatabaseScript> database_scripts(const Input& input);

}  // namespace dm::audit

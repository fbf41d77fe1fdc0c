/// Commands inside a container, for drivers.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace dm::backup {

struct Inside {
  std::string_view name{};               ///< for messages; "" = the first of WORDS
  std::string_view script{};             ///< constant; run as `sh -c SCRIPT sh WORDS...`. "" = WORDS are the command
  std::vector<std::string> words{};      ///< never a secret
  std::vector<std::string> env{};        ///< "NAME=value"; shows nowhere
  std::string user{};
  Source in{};
  Sink out{};
  std::function<void()> over{};          ///< as `engine::Exec::over`
};

/// Ends with 1 while an image's entrypoint is at work: it may run a first server for its own set-up, which answers and then stops.
inline constexpr std::string_view kNoEntrypoint = R"sh(
for file in /proc/[0-9]*/comm; do
  { read -r name <"$file"; } 2>/dev/null || continue
  case $name in *entrypoi*) exit 1 ;; esac
done
)sh";

/// Runs it to its end. Errors: those of exec, `failed` with the end of its stderr where it does not exit with 0, `corrupt` where its
/// output is not known to be whole.
Result<engine::ExecResult> run_inside(engine::Engine& engine, const std::string& container, Inside what, const Deadline& deadline);

/// The last lines of what a program said, in one line, at most 500 bytes.
std::string last_words(std::string_view err);

}  // namespace dm::backup

/// Shell completion and the manual page, both made from the table of verbs: what the table says is what they say.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/verbs.hpp"

namespace dm::cli {

/// For "bash", "zsh" or "fish"; empty for another shell.
std::string completion_script(std::string_view shell, std::span<const Verb> verbs);
/// In roff, for `man -l -`.
std::string manual_page(std::span<const Verb> verbs);

int completion(Args& args);
int manual(Args& args);

}  // namespace dm::cli

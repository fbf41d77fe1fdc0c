/// What a command may do that nobody can see here.
#pragma once

#include <algorithm>
#include <string_view>

#include "compose/project.hpp"

namespace dm::audit::rules {

/// The command is or calls a script, which may give any option: `sh /start.sh`.
inline bool runs_script(const compose::Service& service) {
  return std::ranges::any_of(service.command, [](const auto& word) {
    const auto at = word.value.find(".sh");
    return at != std::string_view::npos && (at + 3 == word.value.size() || std::string_view(" ;&|\"'\n").find(word.value[at + 3]) != std::string_view::npos);
  });
}

}  // namespace dm::audit::rules

/// What an env file may say that nobody can see here.
#pragma once

#include <string>
#include <string_view>

#include "audit/rule.hpp"
#include "sensitive/sealed_whole.hpp"

namespace dm::audit::rules {

/// It does not exist yet, or is sealed as a whole: it may set any variable.
inline bool env_file_unknown(const Input& input, std::string_view path) {
  const auto text = input.files.read(std::string(path));
  return !text || *text == sensitive::kSealedAsAWhole;
}

}  // namespace dm::audit::rules

/// The Compose file that, laid over a project's own, cuts it off: nothing published, networks without a way out, names of its own. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compose/project.hpp"

namespace dm::recover {

struct Apart {
  std::string label_name{}, label_value{};              ///< on everything that is made; "" = none
  bool own_volumes = true;                              ///< false: volumes keep their names and options (a recovery in isolation)
  std::map<std::string, std::string> folders{};         ///< bind sources that lie elsewhere now: old path -> new path
};

struct Isolation {
  std::string yaml{};                                   ///< holds no value of a variable
  std::vector<std::string> notes{};                     ///< what is not as in the real one
};

/// `project` is loaded with its values; of these only names, paths and mount options get into the text.
Isolation isolate(const compose::Project& project, const Apart& apart);

}  // namespace dm::recover

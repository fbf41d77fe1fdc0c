/// A project's model with holes where its secrets are: what a revision keeps, and how it becomes a project again.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "compose/project.hpp"

namespace dm::deploy {

struct Template {
  std::string model{};   ///< Compose JSON with ${DM_HOLE_N:?...} where a secret was
  std::string holes{};   ///< JSON: [{"name", "at" (path of keys), "digest", "variable" (whose value it was, where known)}]
};

/// `json` is the normalised model (`compose::to_json`). A hole is made for the value of each variable with a secret name or a sealed
/// value, wherever it stands in a string, and of the whole string where its name or form says secret beyond that. `digest` hashes with
/// the store's key. `sealed`: names and values of what is sealed beside the project's variables.
Result<Template> make_template(const std::string& json, const compose::Project& project, const std::function<std::string(std::string_view)>& digest,
                               const std::vector<std::pair<std::string, std::string>>& sealed = {});

struct Filled {
  std::map<std::string, std::string> variables{};  ///< DM_HOLE_N -> value; for the environment of Compose alone
  std::vector<std::string> missing{};              ///< paths whose value is not to be had any more
  std::vector<std::string> changed{};              ///< variables that have another value now, which was taken
};
/// Looks for the values: the variable's value of today or what stands at the same place of today's model, and among `others` (values of
/// running containers), where the digest is the kept one. A variable that has another value today and whose old one is nowhere was
/// rotated: its present value is taken and the variable named in `changed`.
Result<Filled> fill(const Template& kept, const std::string& json_today, const std::map<std::string, std::string>& variables, const std::vector<std::string>& others,
                    const std::function<std::string(std::string_view)>& digest);

/// `model` with the host paths replaced (bind mounts, files of configs and secrets).
Result<std::string> with_paths(const std::string& model, const std::map<std::string, std::string>& paths);

}  // namespace dm::deploy

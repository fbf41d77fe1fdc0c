/// A recipe of `init --service` in one short file: which service of which fragment of the stack, what is left out or written otherwise, which
/// database it gets. The rest follows: database, backup, networks, volumes, secrets and route are those of the hand-written recipes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace dm::scaffold {

/// Files of the recipe `name` below `services/NAME/`, as (path, content): compose.yaml, secrets.yaml, route.caddy (where it has one), what the service
/// mounts. The language of the text stands in stack/services/README.md. Errors: `invalid_input` with the line, where the stack has no such fragment,
/// service or secret, or a change finds nothing to change.
Result<std::vector<std::pair<std::string, std::string>>> expand_recipe(std::string_view name, std::string_view text);

}  // namespace dm::scaffold

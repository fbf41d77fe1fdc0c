/// What the installed Compose would label the containers with, if it created them now.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"

namespace dm::observe {

/// `options` are those between `docker compose` and the verb (-f, -p, --env-file ...). Errors: exit 10 where docker or its compose plugin
/// is missing, `failed` with Compose's words. Nothing is created.
Result<std::map<std::string, std::string>> compose_hashes(const std::vector<std::string>& options, const std::string& folder, const Deadline& deadline);

/// "web 1f0e...\n" lines to a map.
std::map<std::string, std::string> parse_hashes(std::string_view text);

}  // namespace dm::observe

/// With what Compose labels a network that it makes.
#pragma once

#include <string>

#include "compose/project.hpp"

namespace dm::compose {

/// Its JSON as Go writes it, of which the label `com.docker.compose.config-hash` is the SHA-256. Compose makes a network anew whose label differs.
std::string hashed_text(const Project& project, const Network& network);

}  // namespace dm::compose

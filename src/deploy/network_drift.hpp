/// Networks that are not what the files say any more. The hash of a service does not tell: Compose finds it out when it creates something.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compose/project.hpp"
#include "engine/values.hpp"

namespace dm::deploy {

/// Key of a network of the project -> how it differs ("internal, subnets"). Those that Compose would remove and make anew, with everything on
/// them: made by Compose, and labelled with another hash than the files give now. `there`: the engine's networks. Pure.
std::map<std::string, std::string, std::less<>> changed_networks(const compose::Project& project, const std::vector<engine::Network>& there);

}  // namespace dm::deploy

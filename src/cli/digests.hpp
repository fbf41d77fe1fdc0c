/// `config --resolve-image-digests` and `--lock-image-digests`: what a tag names in its registry now, written into the project.
#pragma once

#include <map>
#include <string>

#include "compose/project.hpp"

namespace dm::cli {

/// Every image of the enabled services (of all, where the project is not interpolated) gets its whole name and its digest. Registries are asked
/// as their user is logged in. False after saying, for each image, why not; then nothing of the project counts.
bool pin_images(compose::Project& project, const std::map<std::string, std::string>& environment);

/// An override file with nothing but these images, as Compose prints it.
std::string images_only(const compose::Project& project, bool json);

}  // namespace dm::cli

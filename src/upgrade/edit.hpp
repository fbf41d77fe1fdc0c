/// Another tag in the Compose file. Pure.
#pragma once

#include <string>

#include "compose/project.hpp"

namespace dm::upgrade {

struct ImageEdit {
  std::string path{};        ///< of the file
  std::string before{}, after{};   ///< its whole text
  std::string place{};       ///< "compose.yaml:12"
};

/// The image of `service` becomes `image`; everything else of the file stays byte for byte. Errors: `unsupported` where the image is not
/// written out in one place (a variable, a build, an alias), with the place to change by hand.
Result<ImageEdit> edit_image(const compose::Project& project, const compose::Service& service, std::string_view image);

}  // namespace dm::upgrade

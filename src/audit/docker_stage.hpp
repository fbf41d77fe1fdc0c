/// What a target of a Dockerfile comes to: its stage with all that the stage is built upon.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/dockerfiles.hpp"

namespace dm::audit {

/// The lines of the target, those of the stages below it first, each `FROM` among them. Nothing where there is no such stage.
std::optional<std::vector<DockerfileLine>> stage_lines(const std::vector<DockerfileLine>& lines, std::string_view target);
/// The image that the stage starts from, with its place in the line; "" for scratch, and where a variable decides.
struct StageBase {
  std::string image;
  std::size_t begin = 0, size = 0;  ///< in the text
};
StageBase base_of(const std::vector<DockerfileLine>& stage);
/// A path of an instruction as the container has it: relative ones lie in the working folder.
std::string in_folder(std::string_view path, std::string_view folder);

}  // namespace dm::audit

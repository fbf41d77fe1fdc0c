/// Dockerfiles as a list of instructions, and the image that a build starts from.
/// Format: https://docs.docker.com/reference/dockerfile/
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dm::formats {

struct DockerInstruction {
  std::string keyword;        ///< upper case: "FROM", "RUN" ...
  std::string text;           ///< the rest, continued lines joined, comments between them left out
  std::uint32_t line = 1;     ///< where it begins
};

/// Never fails: what is no instruction is left out. Here-documents end their instruction and are skipped.
std::vector<DockerInstruction> parse_dockerfile(std::string_view text);

/// The image below everything that `target` (a stage; "" = the last one) adds: stages that build on stages are followed, and
/// `${NAME}` of ARGs before the first FROM is replaced by `arguments` or their defaults. "" where it cannot be told, and for "scratch".
std::string base_image(const std::vector<DockerInstruction>& instructions, std::string_view target,
                       const std::map<std::string, std::string, std::less<>>& arguments);

/// What the image of `target` (a stage; "" = the last one) is made by: the instructions of the stages that it stands upon, then its own.
std::vector<DockerInstruction> image_instructions(const std::vector<DockerInstruction>& instructions, std::string_view target);

}  // namespace dm::formats

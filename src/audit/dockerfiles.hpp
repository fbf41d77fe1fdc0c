/// Dockerfiles that the project builds, as instructions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/rule.hpp"
#include "formats/dockerfile.hpp"

namespace dm::audit {

struct ServiceDockerfile {
  ServiceId service = wiring::kNone;
  sources::FileId file = sources::kNoFile;
};

/// One for each file, with the first service that builds it. Remote contexts and inline files are left out.
std::vector<ServiceDockerfile> dockerfiles(const Input& input);

/// One for each service that is built.
std::vector<ServiceDockerfile> built_services(const Input& input);

/// An instruction; lines joined by a backslash are one, with blanks for the break, so that offsets stay true.
struct DockerfileLine {
  std::size_t begin = 0;        ///< of the instruction in the text
  std::string instruction;      ///< in capitals
  std::size_t rest_at = 0;      ///< of `rest`, from `begin`
  std::string rest;             ///< arguments
};
std::vector<DockerfileLine> dockerfile_lines(std::string_view text);

/// `target` of the service's `build:`, "" for the last stage.
std::string_view build_target(const compose::Service& service);

/// What the image of a service is made by (formats/dockerfile.hpp), above its base image; empty where its Dockerfile cannot be read.
std::vector<formats::DockerInstruction> image_instructions(const Input& input, const compose::Service& service);

}  // namespace dm::audit

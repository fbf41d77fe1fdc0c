/// Opens the Docker Engine API: Docker 20.10 (API 1.41) to current, and Podman's compatible socket as far as it goes.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.hpp"
#include "engine/transport.hpp"

namespace dm::engine {

inline constexpr unsigned kOldestApi = 41;  ///< 1.41: engine 20.10
inline constexpr unsigned kNewestApi = 51;

struct DockerOptions {
  std::string description{};  ///< what `Engine::description` says
  std::string api_version{};  ///< DOCKER_API_VERSION; "" = negotiate
  bool local = false;         ///< its processes are on this machine: an abandoned exec may be ended by signal
};

/// Nothing is connected yet; the first call negotiates the version.
std::unique_ptr<Engine> docker(std::shared_ptr<const Transport> transport, DockerOptions options);

/// Ours and the engine's versions ("1.41") to the one to speak. Errors: `unsupported` (too old), `invalid_input` (`wanted` is none).
Result<std::string> negotiate(const std::string& server, const std::string& server_min, const std::string& wanted);

}  // namespace dm::engine

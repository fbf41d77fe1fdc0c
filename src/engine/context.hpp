/// Which engine is meant, decided exactly as the docker CLI's code does it (its documentation says otherwise in one point):
/// --context, else --host, else DOCKER_HOST, else DOCKER_CONTEXT, else `currentContext` of config.json, else the default socket.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "engine/engine.hpp"
#include "engine/transport.hpp"
#include "sources/files.hpp"

namespace dm::engine {

using Environment = std::map<std::string, std::string, std::less<>>;

/// What the command line says; empty = nothing.
struct Choice {
  std::string host{};
  std::string context{};
};

/// What was decided.
struct Place {
  std::string host{};            ///< "unix:///var/run/docker.sock"
  std::string context{};         ///< name of the context; "default" where none was chosen
  std::string reason{};          ///< who said so: "--host", "DOCKER_HOST", "currentContext of /root/.docker/config.json", "default"
  std::optional<TlsFiles> tls{}; ///< contents, not paths; has a private key: never print it
  std::string api_version{};     ///< DOCKER_API_VERSION
  std::string describe() const { return host + " (" + reason + ")"; }
};

/// Pure over the environment and the files. Errors: `invalid_input` (both --host and --context; a host that cannot be read; a damaged
/// context), `not_found` (no such context, certificate missing).
Result<Place> find_engine(const Choice& choice, const Environment& environment, const sources::Files& files);

/// A host as the docker CLI reads it.
struct Host {
  std::string scheme{};          ///< "unix", "tcp", "ssh"
  std::string path{};            ///< of a unix socket
  std::string user{}, name{}, port{};
};
Result<Host> parse_host(const std::string& text, bool tls);

/// The engine at that place. Nothing is connected yet. Errors: `unsupported` (scheme), `invalid_input` (certificates).
Result<std::unique_ptr<Engine>> open_engine(const Place& place);

}  // namespace dm::engine

/// From what the engine tells to the plain values of this module.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deploy/container.hpp"
#include "engine/engine.hpp"

namespace dm::deploy {

/// `now_ns`: the engine's clock.
Container read(const engine::Container& container, std::int64_t now_ns);
/// All containers of a Compose project, running or not, ordered by service and number. Errors are the engine's; a container that
/// goes away meanwhile is left out.
Result<std::vector<Container>> look(engine::Engine& engine, std::string_view project, const Deadline& deadline);

/// (service, what its label says of the secrets it was made with) of those that belong to a service for good; the views are into `containers`.
std::vector<std::pair<std::string_view, std::string_view>> marks_of(const std::vector<Container>& containers);

/// The files of a label are the user's, and no model that our store keeps (`revisions/3/compose.json`).
bool users_own(std::string_view config_files);

/// The container whose labels tell which files the user has, of one or more: after a rollback those of others name a model that our store keeps.
const Container& spokesman(const std::vector<Container>& containers);

/// A project as its labels tell it.
struct Found {
  std::string name{}, working_dir{}, config_files{}, compose_version{};
  std::size_t containers = 0, running = 0, unhealthy = 0;
};
/// All Compose projects on the engine, by name.
Result<std::vector<Found>> find_projects(engine::Engine& engine, const Deadline& deadline);

}  // namespace dm::deploy

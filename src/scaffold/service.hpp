/// One product into a project that exists: its fragment with database and backup, its route, its secrets.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scaffold/init.hpp"
#include "sources/files.hpp"

namespace dm::scaffold {

/// Names of the recipes, sorted.
std::vector<std::string_view> service_recipes();

/// What is to be written where, and what is to be said. Files that exist are given whole, changed.
struct ServicePlan {
  std::vector<NewFile> files;          ///< new ones, and compose.yaml, .env, variables.yaml, the Caddyfile as they become
  Schema secrets;                      ///< to be made and sealed
  std::string compose_file;            ///< below the folder: "compose.yaml"
  bool routed = false;                 ///< the route is in a Caddyfile; else `route` is for the reader
  std::string route;
  bool guarded = false;                ///< it has no sign-in of its own: the route is for the reader, who puts one in front
  std::vector<std::string> notes;      ///< what is to be done by hand: the first account, mostly
};

/// What is known of the project from its model.
struct ServiceSite {
  std::string compose_file;            ///< name in the folder
  std::string edge_network;            ///< key of a network of the service that mounts the Caddyfile; "" = none
  std::string caddyfile;               ///< below the folder; "" = none
  std::vector<std::string> services;   ///< that exist
  std::string fresh{};                 ///< what the compose file starts with, where there is none yet
};

/// Reads only. Errors: `not_found` (no such recipe), `conflict` (the service or its folder is there), `invalid_input` (the compose file cannot be extended
/// without a doubt: its `include:` is not a plain list).
Result<ServicePlan> plan_service(std::string_view name, const sources::Files& files, const std::string& folder, const ServiceSite& site, std::string_view domain, std::string_view run_folder);

/// compose.yaml with one more entry in `include:`. Errors: `invalid_input`.
Result<std::string> with_include(std::string_view compose, std::string_view path);

}  // namespace dm::scaffold

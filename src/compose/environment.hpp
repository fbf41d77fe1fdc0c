/// Variables for interpolation, the project's name and the chosen profiles. Internal to the module.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compose/stages.hpp"

namespace dm::compose {

/// Variables of one `include` scope.
struct Environment {
  std::map<std::string, VariableDefinition, std::less<>> variables;
  const VariableDefinition* find(std::string_view name) const;
};

/// Process environment over --env-file files over `.env` of the project folder, into `project.environment`.
void read_environment(Context& context, const std::string& folder);
const VariableDefinition* find_variable(const Project& project, std::string_view name);
/// COMPOSE_FILE from the environment or `.env`, split; empty if not set.
std::vector<std::string> files_from_environment(const Options& options, const sources::Files& files);
Environment environment_of_include(Context& context, const Value& entry, const std::string& base,
                                   const std::string& folder);
/// `forced` (-p or COMPOSE_PROJECT_NAME), the `name:` of the files, the folder's name; in this order.
void choose_name(Context& context, Value& root, std::string_view forced);
/// --profile, COMPOSE_PROFILES; fills `project.profiles`.
void choose_profiles(Context& context, const Value& root);
/// Folds `env_file` and `label_file` into the services' environment and labels (typed view and model).
void resolve_env_files(Context& context);
/// Reads what `label_file` names; labels written inline win.
void resolve_label_files(Context& context);

/// Makes the relative paths of one service, or of a whole file, absolute against `folder` (extends, include); without
/// `resolve_paths`, relative to the project's folder.
void move_paths(Value& service, const std::string& folder, Context& context);
void move_all_paths(Value& root, const std::string& folder, Context& context);
bool equal(const Value& a, const Value& b);

/// A message with the paths in it as seen from the project's folder.
std::string short_path(std::string message, const std::string& folder);

}  // namespace dm::compose

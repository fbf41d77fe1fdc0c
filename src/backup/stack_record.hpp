/// What a restore on a bare machine must know beside the data: which files Compose was called with, which images ran, what the volumes
/// are called. Part of every whole run's manifest; no secret.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backup/discover.hpp"

namespace dm::backup {

struct StackRecord {
  struct Service {
    std::string name{}, image{}, image_id{};
    std::vector<std::string> digests{};        ///< "docker.io/library/postgres@sha256:...": what a registry gives back
  };
  struct Volume {
    std::string name{}, key{}, driver{};       ///< key "" = not of this project's files (external)
    std::map<std::string, std::string> options{};
    std::string service{}, target{};           ///< of one without a name, which the files or the image ask for: who mounts it where
  };
  std::string folder{};                        ///< of the project's files; "" = it was not known
  std::vector<std::string> files{};            ///< that Compose was called with, absolute; empty = the ones that it finds by itself
  std::vector<std::string> env_files{};        ///< --env-file, absolute
  std::vector<Service> services{};
  std::vector<Volume> volumes{};
  std::vector<std::string> sealed{};           ///< files that lay in the clear and were sealed on their way in, relative to `folder`
  std::vector<std::string> missing{};          ///< files that hold secrets in the clear and are not saved, relative to `folder`
  bool known() const { return !services.empty(); }
  std::string json() const;
  static Result<StackRecord> parse(std::string_view json);
};

/// Asks the engine. Errors: its own.
Result<StackRecord> record_stack(engine::Engine& engine, std::string_view project, const Deadline& deadline);

/// Files of the project that hold secrets in the clear, relative to its folder: `.env` and its like, secrets' files, mounted files. Compose
/// files are not among them: a secret that stands in one is a finding of the audit.
std::vector<std::string> plain_secrets(const StackRecord& record);

/// Takes those files out of the project's tree and, where `recipients` (age) are there, adds the subject "secrets", which seals them for
/// these; else says that they are not covered.
void guard_secrets(Inventory& inventory, StackRecord& record, const std::vector<std::string>& files, const std::vector<std::string>& recipients);

}  // namespace dm::backup

/// `docker compose` for a project with sealed variables: what it is started with. Shared by `secrets compose` and `secrets rotate`.
#pragma once

#include <memory>

#include "cli/secrets.hpp"
#include "secrets/runtime_files.hpp"

namespace dm::cli {

struct ComposeCall {
  secrets::ProjectSecrets opened;
  std::unique_ptr<secrets::UnsealedFiles> files;
  compose::Loaded loaded;
  secrets::FileDelivery delivery;
  std::vector<std::string> argv;          ///< "docker compose ..." up to the subcommand
  std::map<int, int> descriptors;         ///< for `Command::descriptors`
  std::vector<Fd> memory;
};

/// Opens the project's secrets, loads it with their values and plans their delivery; writes nothing. Errors: exit 10 to 13, `invalid_input` where the project cannot
/// be loaded. Takes the sealed names out of `args.project.environment`, since what is exported would win over what is sealed.
Result<std::unique_ptr<ComposeCall>> prepare_compose(Args& args);

}  // namespace dm::cli

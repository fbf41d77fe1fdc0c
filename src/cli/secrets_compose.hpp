/// `docker compose` for a project with sealed variables: what it is started with. Shared by `secrets compose` and `secrets rotate`.
#pragma once

#include <memory>

#include "cli/secrets.hpp"
#include "secrets/handover.hpp"

namespace dm::cli {

struct ComposeCall {
  std::unique_ptr<secrets::Handover> handover;
  compose::Loaded loaded;                 ///< as Compose sees it: with the override
  std::vector<std::string> argv;          ///< "docker compose ..." up to the subcommand
  std::map<int, int> descriptors;         ///< for `Command::descriptors`
  std::vector<Fd> memory;

  /// Writes the files that containers read. Errors: `unsupported` where the engine is another machine's.
  Result<void> write(const Args& args) const;
};

/// Opens the project's secrets, loads it with their values and plans their delivery; writes nothing. Errors: exit 10 to 13, `invalid_input` where the project cannot
/// be loaded.
Result<std::unique_ptr<ComposeCall>> prepare_compose(Args& args);

}  // namespace dm::cli

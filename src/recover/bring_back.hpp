/// Brings one thing back out of the repository, and looks whether it is what was saved.
#pragma once

#include <string>
#include <vector>

#include "backup/repository.hpp"
#include "backup/runner.hpp"
#include "engine/engine.hpp"

namespace dm::recover {

/// What came back: the words for a person, and whether it was compared.
struct Back {
  std::string detail{};
  std::uint64_t bytes = 0;
};

/// Unpacks a tree into `folder` (made where it is missing) and reads it again. Errors: `corrupt` where it is not equal.
/// `compare` false: others live in the folder already.
Result<Back> tree(backup::Repository& repository, const backup::Saved& saved, const std::string& folder, bool compare, const Deadline& deadline);

/// Opens sealed files below `folder` with the keys of this machine (see `secrets::Keyring`). Errors: exit 11 without a key.
Result<Back> sealed(engine::Engine& engine, backup::Repository& repository, const backup::Saved& saved, const std::string& folder, const Deadline& deadline);

/// Fills the volumes of a container that does not run, by a throw-away container of the same image that mounts them; for servers that
/// read their data when they start. `label` ("name=value") marks the throw-away one.
Result<Back> offline(engine::Engine& engine, backup::Repository& repository, const std::vector<const backup::Saved*>& saved, const std::string& container, const std::string& label,
                     const backup::OnProgress& progress, const Deadline& deadline);

/// Into the running server of `container`. What has the same names there is replaced. Another major version may be there.
Result<Back> live(engine::Engine& engine, backup::Repository& repository, const std::vector<const backup::Saved*>& saved, const std::string& container, const backup::OnProgress& progress,
                  const Deadline& deadline);

/// Makes the volume `kept` for what `volume` holds. Errors: `conflict` where it is there and holds something.
Result<void> make_room(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline);
/// Moves what is in a local volume into a new volume `kept`, within one file system. Gives how many entries moved. Errors: `denied` where
/// we may not write there, `unsupported` for volumes of other drivers.
Result<std::size_t> set_aside(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline);
/// As `set_aside`, of a folder into `kept` beside it. Both go on where they were interrupted, as long as nothing else has been put there.
Result<std::size_t> set_aside_folder(const std::string& folder, const std::string& kept);
Result<std::size_t> set_aside_again(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline);
/// Whether a volume has anything in it; an error where it does not exist or cannot be looked into.
Result<bool> holds_something(engine::Engine& engine, const std::string& volume, const Deadline& deadline);
/// Removes what a local volume holds.
Result<void> clear_volume(engine::Engine& engine, const std::string& volume, const Deadline& deadline);
/// Moves what `kept` holds back into `volume`, beside what is there; `kept` stays, empty. Goes on where it was interrupted.
Result<void> put_back(engine::Engine& engine, const std::string& volume, const std::string& kept, const Deadline& deadline);

}  // namespace dm::recover

/// How one kind of datastore is dumped, restored and looked at. One file each under drivers/, one line in drivers.cpp.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/fingerprint.hpp"
#include "engine/engine.hpp"

namespace dm::backup {

/// A datastore in a running container.
struct Target {
  std::string project{}, service{};
  std::string kind{};                 ///< of the driver: "postgres"
  std::string container{};            ///< id
  std::string image{}, image_id{};
  std::string data_path{};            ///< in the container; "" = not known
  /// What the driver found out, no secrets: "user", "version", "preload" ... Kept in the manifest, so that a drill can build the
  /// same server without the source.
  std::map<std::string, std::string> facts{};
  std::string identity{};             ///< of the data: PostgreSQL's system identifier, ...; "" = it has none
};

/// One stream: a database, the roles, a configuration.
struct Item {
  std::string name{};                 ///< "shop", "(roles)"
  std::string file{};                 ///< last part of its path in the repository: "shop.sql"
  std::vector<std::string> notes{};   ///< what this dump cannot hold, for people
  std::vector<std::string> unsaved{}; ///< what the server keeps beside it and no run saves: findings of coverage
  bool small = false;                 ///< mostly some kilobytes: it is kept in the manifest instead of a snapshot of its own
};

/// What a restore is to do with what is there already.
struct RestoreInto {
  std::string name{};                 ///< another name for the database; "" = its own
  bool replace = false;               ///< drop what has the name first: stand-ins, and after a safety copy
};

class Driver {
 public:
  virtual ~Driver() = default;
  virtual std::string_view kind() const = 0;
  /// "PostgreSQL"
  virtual std::string_view title() const = 0;

  /// Asks the server who it is; fills `facts` and `identity`.
  virtual Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const = 0;
  /// The server takes clients: after a start that is not yet so. Drivers whose `examine` asks the server itself need nothing more.
  virtual Result<void> answers(engine::Engine& engine, const Target& target, const Deadline& deadline) const {
    auto seen = target;
    return examine(engine, seen, deadline);
  }
  /// What there is to save, by asking the server; in the order in which it must be restored.
  virtual Result<std::vector<Item>> items(engine::Engine& engine, const Target& target, const Deadline& deadline) const = 0;
  /// Success = every byte was delivered, the program ended with 0, and said so itself. The reader has the last word.
  /// What people should know about this dump goes to `notes`.
  virtual Result<void> dump(engine::Engine& engine, const Target& target, const Item& item, const Sink& out, std::vector<std::string>& notes, const Deadline& deadline) const = 0;
  virtual std::unique_ptr<DumpReader> reader(const Item& item) const = 0;

  /// A throw-away server like that of `target`, without network, that only we can reach. Errors: `unsupported`.
  virtual Result<engine::NewContainer> stand_in(const Target& target) const = 0;
  /// Waits until a stand-in takes commands.
  virtual Result<void> await(engine::Engine& engine, const Target& target, const Deadline& deadline) const = 0;
  virtual Result<void> restore(engine::Engine& engine, const Target& target, const Item& item, const Source& in, const RestoreInto& into, const Deadline& deadline) const = 0;
  /// Called once what was restored into a server that stays has been compared, or could not be: what `restore` held back goes on.
  virtual Result<void> compared(engine::Engine&, const Target&, const Item&, const RestoreInto&, const Deadline&) const { return {}; }
  /// The product's own check of its data. Gives what was checked, in words. Errors: `corrupt`; `unsupported` where it has none here.
  virtual Result<std::string> check(engine::Engine& engine, const Target& target, const Deadline& deadline) const = 0;
  /// Whether two fingerprints of this kind can be compared with their schema: not between major versions.
  virtual Compare comparison(const Target& then, const Target& now) const = 0;
};

std::span<const Driver* const> drivers();
/// Null where there is none.
const Driver* driver_of(std::string_view kind);

}  // namespace dm::backup

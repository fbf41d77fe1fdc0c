/// Folder trees as a stream (tar in pax form: any tar reads it), and back.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/fingerprint.hpp"

namespace dm::backup {

/// In the top folder of a tree that is restored in place: what is unpacked, and what was there before. No part of the tree.
inline constexpr std::string_view kUnpacked = ".datamancy-restore", kBefore = ".datamancy-before-restore";

struct TreeOptions {
  std::vector<std::string> exclude{};  ///< absolute paths that are left out with all below them
  bool verbatim = false;               ///< SQLite databases as they lie there, with their -wal and -shm
};

struct TreeNotes {
  std::size_t databases = 0;           ///< SQLite databases that were copied by SQLite itself
  std::size_t changed = 0;             ///< files that changed while they were read
  std::vector<std::string> lines{};    ///< what could not be saved, for people
};

/// Writes everything below `folder`: owners by number, modes, times, extended attributes and ACLs, hard links; devices, FIFOs and
/// sockets by kind. A SQLite database is replaced by the consistent image that SQLite's own backup makes (written to a file without
/// a name beside it), its journals are left out. Memory does not grow with the data (but with the number of hard-linked files).
/// Errors: `denied` where something cannot be read: a tree with holes would not be one.
Result<void> pack_tree(const std::string& folder, const TreeOptions& options, const Sink& out, TreeNotes& notes, const Deadline& deadline);

/// Parts: "files", "folders", "symbolic links", "hard links", "special", and "times" (of files).
std::unique_ptr<DumpReader> make_tree_reader();

/// Unpacks below `folder`, which exists. Paths never leave it, symbolic links are not followed. `only` = this path and what is below
/// it; "" = all.
class TreeUnpacker {
 public:
  TreeUnpacker(std::string folder, std::string only);
  ~TreeUnpacker();
  Result<void> take(std::string_view bytes);
  Result<void> finish();
  std::size_t count() const;           ///< entries written

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Opens every SQLite database below `folder` and has it checked (integrity_check, foreign_key_check). Gives what was checked, in
/// words. Errors: `corrupt`.
Result<std::string> check_databases(const std::string& folder, const Deadline& deadline);

}  // namespace dm::backup

/// Volumes, bind mounts and the project's own folder: read straight from the engine's machine, where we may.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <unistd.h>

#include "backup/driver.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/tree.hpp"

namespace dm::backup {
namespace {

std::string fact(const Target& target, const char* name) {
  const auto found = target.facts.find(name);
  return found == target.facts.end() ? std::string() : found->second;
}

class Tree final : public Driver {
 public:
  std::string_view kind() const override { return "tree"; }
  std::string_view title() const override { return "files"; }

  Result<void> examine(engine::Engine&, Target& target, const Deadline&) const override {
    const auto path = fact(target, "path");
    if (::access(path.c_str(), R_OK) != 0)
      return fail(errno == ENOENT ? Errc::not_found : Errc::denied, fmt::format("{} cannot be read here: volumes are saved by root, on the engine's own machine", path));
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine&, const Target&, const Deadline&) const override { return std::vector<Item>{{.name = ".", .file = "tree.tar"}}; }

  Result<void> dump(engine::Engine&, const Target& target, const Item&, const Sink& out, std::vector<std::string>& lines, const Deadline& deadline) const override {
    TreeOptions options;
    const auto list = fact(target, "exclude");
    for (std::string_view rest = list; !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      options.exclude.emplace_back(line);
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    TreeNotes notes;
    auto packed = pack_tree(fact(target, "path"), options, out, notes, deadline);
    lines.insert(lines.end(), notes.lines.begin(), notes.lines.end());
    if (notes.changed > 5) lines.push_back(fmt::format("{} files changed while they were read", notes.changed));
    if (notes.databases > 0) lines.push_back(fmt::format("{} SQLite databases copied by SQLite's own backup", notes.databases));
    return packed;
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return make_tree_reader(); }
  Result<engine::NewContainer> stand_in(const Target&) const override { return fail(Errc::unsupported, "files need no server"); }
  Result<void> await(engine::Engine&, const Target&, const Deadline&) const override { return {}; }

  /// Unpacks over what lies at `into.name`, else where it came from; the caller has made room.
  Result<void> restore(engine::Engine&, const Target& target, const Item&, const Source& in, const RestoreInto& into, const Deadline& deadline) const override {
    TreeUnpacker unpacker(into.name.empty() ? fact(target, "path") : into.name, "");
    while (true) {
      if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
      DM_TRY(const std::string piece, in());
      if (piece.empty()) break;
      DM_CHECK(unpacker.take(piece));
    }
    return unpacker.finish();
  }

  Result<std::string> check(engine::Engine&, const Target& target, const Deadline& deadline) const override { return check_databases(fact(target, "path"), deadline); }
  Compare comparison(const Target&, const Target&) const override { return Compare::everything; }
};

}  // namespace

const Driver& tree_driver() {
  static const Tree driver;
  return driver;
}

}  // namespace dm::backup

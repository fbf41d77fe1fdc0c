/// backup inspect: judges dumps that other tools made. Needs neither engine nor repository.
#include "backup/inspect.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/json.hpp"
#include "cli/backup.hpp"

namespace dm::cli {

int backup_inspect(Args& args) {
  const bool json = args.has("--json");
  if (args.words.size() != 1) {
    fmt::print(stderr, "usage: datamancy backup inspect FILE|-\n  exit status: 0 whole, 1 damaged or cut off, 2 could not be judged\n");
    return kUsage;
  }
  const auto& name = args.words[0];
  Fd file(name == "-" ? ::dup(STDIN_FILENO) : ::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return complain(errno_error("open " + name, errno));
  const auto seen = backup::inspect([&] { return read_some(file.get(), 1U << 18U); });
  if (!seen) return complain(seen.error());
  if (json) {
    JsonWriter out;
    out.begin_object().key("file").value(name).key("kind").value(seen->kind).key("outcome").value(state::to_string(seen->outcome)).key("detail").value(seen->detail).key("bytes").value(seen->bytes);
    out.key("parts").begin_array();
    for (const auto& part : seen->fingerprint.parts) out.begin_object().key("name").value(part.name).key("rows").value(part.rows).key("bytes").value(part.bytes).key("sum").value(part.sum.hex()).end();
    fmt::print("{}\n", out.end().end().take());
  } else {
    fmt::print("{}: {}, {}: {}\n", name, seen->kind, seen->outcome == state::Outcome::verified ? "whole" : seen->outcome == state::Outcome::failed ? "DAMAGED" : "could not verify", seen->detail);
    for (const auto& part : seen->fingerprint.parts) fmt::print("  {:40} {:>12} rows {:>10}\n", part.name, part.rows, human_bytes(part.bytes));
  }
  return status_of(seen->outcome);
}

}  // namespace dm::cli

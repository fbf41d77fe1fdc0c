/// Reads what `pg_dump` and `pg_dumpall` write in their plain format.
#pragma once

#include "backup/fingerprint.hpp"

namespace dm::backup {

/// Parts: one per table ("public.orders", rows of COPY or INSERT), "sequences", "large objects". The schema is every other statement
/// but session settings; comments, \restrict and the like do not count. Whole = it ends with pg_dump's own last line, outside any
/// quote and any COPY block. Costs a fraction of a CPU second per gigabyte.
class PgDumpStream final : public DumpReader {
 public:
  PgDumpStream();
  ~PgDumpStream() override;
  Result<void> take(std::string_view bytes) override;
  Result<Fingerprint> finish() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Changes the database that a dump made with --create goes to. Only the lines that name the database before its content are
/// looked at; everything else passes unread.
class PgRename {
 public:
  /// `from` and `to` as plain names; they are quoted as pg_dump quotes.
  PgRename(std::string_view from, std::string_view to);
  /// Gives the bytes to pass on. `last` = nothing follows.
  std::string pass(std::string_view bytes, bool last = false);

 private:
  std::string line(std::string_view text) const;
  std::string from_, to_, to_name_;
  std::string held_;       ///< the beginning of a line
  bool through_ = false;   ///< the first table, function or row was seen: nothing names the database after that
};

/// A name as pg_dump writes it: bare where it may be, else in double quotes.
std::string pg_identifier(std::string_view name);

}  // namespace dm::backup

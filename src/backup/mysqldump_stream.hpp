/// Reads what `mariadb-dump` and `mysqldump` write, and our own dump of MySQL's accounts.
#pragma once

#include "backup/fingerprint.hpp"

namespace dm::backup {

/// Parts: one per table, a row per tuple of its INSERTs. The schema is every other statement but session settings, locks and DROPs.
/// Of accounts: one part per account, a row per statement. Whole = it ends with "-- Dump completed" outside any quote.
class MysqlDumpStream final : public DumpReader {
 public:
  MysqlDumpStream();
  ~MysqlDumpStream() override;
  Result<void> take(std::string_view bytes) override;
  Result<Fingerprint> finish() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dm::backup

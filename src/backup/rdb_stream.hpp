/// Reads snapshots of Valkey and Redis (RDB files).
#pragma once

#include "backup/fingerprint.hpp"

namespace dm::backup {

/// Parts: "db 0" (keys that stay), "db 0, expiring" (loose: time takes them away), "functions". Values count by what they hold: the
/// order in a hash, set or sorted set and the encoding of the server's version do not matter. Whole = the end mark came and the
/// CRC-64 of all bytes agrees. Holds one string, node or module value at a time. Errors: `corrupt`; `unsupported` for value types
/// that it does not know.
class RdbStream final : public DumpReader {
 public:
  RdbStream();
  ~RdbStream() override;
  Result<void> take(std::string_view bytes) override;
  Result<Fingerprint> finish() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::uint64_t rdb_crc64(std::uint64_t crc, std::string_view bytes);

}  // namespace dm::backup

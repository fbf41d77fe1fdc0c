/// Reads LDIF as `slapcat` writes it.
#pragma once

#include "backup/fingerprint.hpp"

namespace dm::backup {

/// One part "entries", a row per entry: the order of entries and of the attributes in one does not matter, lines may be wrapped.
/// LDIF has no end mark: that all entries came is known from the program's exit code and, later, from the count. Errors: `corrupt`
/// where the text ends inside an entry or is no LDIF. Holds one entry (at most 64 MiB).
class LdifStream final : public DumpReader {
 public:
  Result<void> take(std::string_view bytes) override;
  Result<Fingerprint> finish() override;

 private:
  Result<void> line(std::string_view text);
  Result<void> end_entry();
  std::string cut_;                    ///< the beginning of a line
  std::vector<std::string> lines_;     ///< of the entry in hand
  std::uint64_t size_ = 0;
  Part part_{};
  bool version_ = false;
};

}  // namespace dm::backup

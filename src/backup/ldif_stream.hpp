/// Reads LDIF as `slapcat` writes it.
#pragma once

#include "backup/fingerprint.hpp"

namespace dm::backup {

/// Written behind the last entry once slapcat has ended well.
constexpr std::string_view kLdifEnd = "# end of the dump, written by datamancy";

/// One part "entries", a row per entry: the order of entries and of the attributes in one does not matter, lines may be wrapped.
/// LDIF has no end mark. Ours ends in a comment, `kLdifEnd`: the fingerprint's producer says so. Of one without it nobody can tell
/// whether the last entries are missing. Errors: `corrupt` where the text ends inside an entry or is no LDIF. Holds one entry (at
/// most 64 MiB).
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
  bool ended_ = false;                 ///< the end mark was seen, and nothing behind it
};

}  // namespace dm::backup

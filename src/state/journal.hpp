/// The journal: who did what to the stack, and how it ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "state/db.hpp"

namespace dm::state {

struct Entry {
  std::int64_t id = 0;
  std::int64_t at = 0;      ///< Unix seconds, UTC
  std::string who{}, verb{}, subject{}, action{};
  std::string outcome{};    ///< "" = still under way, or its process died
};

/// Writes the row before the action; give its id to `finish` after it. Texts never hold a secret.
std::int64_t begin(Db& db, const Entry& entry);
void finish(Db& db, std::int64_t id, std::string_view outcome);
/// The newest entries first.
std::vector<Entry> newest_entries(Db& db, std::int64_t limit);

}  // namespace dm::state

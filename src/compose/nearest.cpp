#include "compose/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace dm::compose {

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::vector<std::size_t> next(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) next[j] = std::min(next[j], before[j - 2] + 1);
    }
    before.swap(row);
    row.swap(next);
  }
  return row[b.size()];
}

void Nearest::offer(std::string_view name) {
  // Names of any length come from the user; far lengths need no matrix.
  if (wanted_.size() > 64 || name.size() + 2 < wanted_.size() || name.size() > wanted_.size() + 2) return;
  const auto steps = distance(wanted_, name);
  if (steps >= best_ || steps == 0 || steps * 2 > wanted_.size()) return;
  best_ = steps;
  name_ = name;
}

std::string Nearest::hint(std::string otherwise) const { return name_.empty() ? std::move(otherwise) : fmt::format("did you mean '{}'?", name_); }

}  // namespace dm::compose

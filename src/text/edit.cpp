#include "text/edit.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::text {

Result<std::string> apply(std::string_view source, std::vector<Edit> edits) {
  std::ranges::stable_sort(edits, {}, [](const Edit& edit) { return edit.where.begin; });

  std::string out;
  std::uint32_t copied = 0;  // everything before this offset is already in `out`
  for (const Edit& edit : edits) {
    const auto [begin, end] = edit.where;
    if (begin > end || end > source.size())
      return fail(Errc::invalid_input, fmt::format("edit [{}, {}) is outside the text", begin, end));
    if (begin < copied) return fail(Errc::conflict, fmt::format("edits overlap at byte {}", begin));
    out += source.substr(copied, begin - copied);
    out += edit.with;
    copied = end;
  }
  out += source.substr(copied);
  return out;
}


}  // namespace dm::text

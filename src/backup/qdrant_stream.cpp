#include "backup/qdrant_stream.hpp"

#include <fmt/format.h>

#include "backup/json_text.hpp"

namespace dm::backup {

Result<void> QdrantStream::record(std::string_view tag, std::string_view bytes) {
  DM_TRY(const auto text, json_canonical(bytes));
  if (tag == "point") {
    points_.rows += 1;
    points_.bytes += bytes.size();
    points_.sum += hash128(text);
    return {};
  }
  if (tag != "config" && tag != "index" && tag != "alias") return fail(unknown());
  define(fmt::format("{} {}", tag, text));
  return {};
}

Result<void> QdrantStream::end() {
  if (points_.rows > 0) print_.parts.push_back(points_);
  return {};
}

}  // namespace dm::backup

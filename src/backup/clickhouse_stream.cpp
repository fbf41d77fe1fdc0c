#include "backup/clickhouse_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "backup/json_text.hpp"

namespace dm::backup {

std::optional<std::size_t> clickhouse_length(std::string_view digits) {
  std::size_t out = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  if (digits.size() != 8 || error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  return out;
}

Result<void> each_clickhouse_row(std::string_view bytes, const std::function<Result<void>(std::string_view compared, std::string_view whole)>& each) {
  while (!bytes.empty()) {
    const auto length = clickhouse_length(bytes.substr(0, 8));
    const auto compared = clickhouse_length(bytes.substr(std::min<std::size_t>(8, bytes.size()), 8));
    if (!length || !compared || *compared > *length || *length > bytes.size() - 16) return fail(Errc::corrupt, "a row does not end where it has to");
    DM_CHECK(each(bytes.substr(16, *compared), bytes.substr(16, *length)));
    bytes.remove_prefix(16 + *length);
  }
  return {};
}

std::string clickhouse_plain(std::string_view create, std::string_view database) {
  std::string out(create);
  // The name is the first word after what is created; it stands in backquotes only where it has to.
  for (const std::string_view kind : {" TABLE ", " VIEW ", " DICTIONARY ", " FUNCTION "}) {
    const auto at = out.find(kind);
    if (at == std::string::npos || at > 40) continue;
    for (const auto& prefix : {fmt::format("{}.", database), fmt::format("`{}`.", database)})
      if (out.compare(at + kind.size(), prefix.size(), prefix) == 0) {
        out.erase(at + kind.size(), prefix.size());
        break;
      }
    break;
  }
  constexpr std::string_view kReplicated = "ENGINE = Replicated";
  const auto at = out.find(kReplicated);
  if (at == std::string::npos || out.compare(at, kReplicated.size() + 1, "ENGINE = Replicated(") == 0) return out;
  out.erase(at + kReplicated.size() - 10, 10);
  const auto open = out.find_first_of("( ", at + 9);
  if (open == std::string::npos || out[open] != '(') return out;
  // The first two arguments are the path in the keeper and the name of the replica.
  auto end = open + 1;
  for (int arguments = 0; arguments < 2 && end < out.size() && out[end] == '\''; ++arguments) {
    for (++end; end < out.size() && out[end] != '\''; ++end)
      if (out[end] == '\\') ++end;
    ++end;
    if (out.compare(std::min(end, out.size()), 2, ", ") == 0) end += 2;
  }
  if (end >= out.size()) return out;
  out.erase(open + 1, end - open - 1);
  if (out.compare(open, 2, "()") == 0) out.erase(open, 2);
  return out;
}

Result<void> ClickhouseStream::record(std::string_view tag, std::string_view bytes) {
  if (tag == "rows") {
    if (table_ == nullptr) return fail(Errc::corrupt, "it has rows of no table");
    return each_clickhouse_row(bytes, [&](std::string_view compared, std::string_view whole) -> Result<void> {
      table_->rows += 1;
      table_->bytes += whole.size();
      table_->sum += hash128(compared);
      ++rows_;
      return {};
    });
  }
  if (tag == "done") {
    if (table_ == nullptr || bytes != std::to_string(rows_)) return fail(Errc::corrupt, "a table has not the number of rows that it was written with");
    table_ = nullptr;
    return {};
  }
  if (table_ != nullptr) return fail(Errc::corrupt, "a table in it has no end");
  if (tag == "database") {
    print_.identity += hash128(bytes);
    return {};
  }
  if (tag != "table") return fail(unknown());
  DM_TRY(const auto members, json_members(bytes));
  std::string name, database;
  bool holds = false;
  for (const auto& [key, value] : members) {
    if (key == "name") name = json_string(value);
    if (key == "database") database = json_string(value);
    if (key == "columns") holds = true;
  }
  for (const auto& [key, value] : members)
    if (key == "create") print_.schema += hash128(clickhouse_plain(json_string(value), database));
  ++print_.statements;
  if (!holds) return {};
  rows_ = 0;
  table_ = &parts_[name];
  return {};
}

Result<void> ClickhouseStream::end() {
  if (table_ != nullptr) return fail(Errc::corrupt, "a table in it has no end");
  print_.parts = parts_.take();
  return {};
}

}  // namespace dm::backup

/// Reads our dumps of ClickHouse databases (drivers/clickhouse.cpp writes them).
#pragma once

#include <optional>

#include "backup/record_stream.hpp"

namespace dm::backup {

/// Records: "about" (JSON: database, server), "database" (its CREATE), then for each table and view "table" (JSON: name, create,
/// columns), any number of "rows", "done" (their count). A row is 8 hexadecimal digits of its length, 8 of how much of it is compared,
/// and its values in RowBinary: first those of plain columns, then states of aggregate functions, whose bytes are another order after
/// every restore. Parts: the tables that hold rows.
class ClickhouseStream final : public RecordReader {
 public:
  ClickhouseStream() : RecordReader("clickhouse", "ClickHouse") {}

 private:
  Result<void> record(std::string_view tag, std::string_view bytes) override;
  Result<void> end() override;
  Parts parts_;
  Part* table_ = nullptr;
  std::uint64_t rows_ = 0;
};

/// Passes on the rows of a "rows" record: what is compared, and all of it. Errors: `corrupt`.
Result<void> each_clickhouse_row(std::string_view bytes, const std::function<Result<void>(std::string_view compared, std::string_view whole)>& each);

/// The length in front of a row; none where it is no such number.
std::optional<std::size_t> clickhouse_length(std::string_view digits);

/// A CREATE statement without the database in front of its own name, and with a replicated engine as the plain one that holds the
/// same rows: what is compared, and what a stand-in without a keeper can run.
std::string clickhouse_plain(std::string_view create, std::string_view database);

}  // namespace dm::backup

#include "backup/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "backup/clickhouse_stream.hpp"
#include "backup/couchdb_stream.hpp"
#include "backup/ldif_stream.hpp"
#include "backup/drivers/mysql_accounts.hpp"
#include "backup/mysqldump_stream.hpp"
#include "backup/pg_dump_stream.hpp"
#include "backup/qdrant_stream.hpp"
#include "backup/rdb_stream.hpp"
#include "backup/tree.hpp"

namespace dm::backup {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // what a decoder writes for a byte that is no text

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t out = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++out;
  return out;
}

struct Guess {
  std::string kind;
  std::unique_ptr<DumpReader> reader{};
  Outcome outcome = Outcome::could_not_verify;   // where there is no reader
  std::string detail{};
};

Guess custom_format(std::string_view head) {
  Guess out{.kind = "pg_dump, custom format"};
  if (const auto lost = count(head, kReplacement); lost > 3) {
    out.outcome = Outcome::failed;
    out.detail = fmt::format("damaged beyond repair: it was decoded as text on its way ({} bytes of the first {} are replaced by U+FFFD), so what it held is lost; copy such streams byte by byte", lost, head.size());
    return out;
  }
  const auto byte = [&](std::size_t at) { return at < head.size() ? static_cast<unsigned char>(head[at]) : 0U; };
  const unsigned major = byte(5), minor = byte(6), integer = byte(8), offset = byte(9), format = byte(10);
  if (major != 1 || minor > 30 || integer != 4 || offset != 8 || format < 1 || format > 5) {
    out.outcome = Outcome::failed;
    out.detail = "damaged: its header cannot be that of a dump" + std::string(count(head.substr(0, 64), "\r\n") > 0 ? " (it passed through a terminal, which adds carriage returns: never dump through a TTY)" : "");
    return out;
  }
  out.detail = fmt::format("header of archive version {}.{} is well; whether it is whole only pg_restore can tell: pg_restore -f /dev/null FILE", major, minor);
  return out;
}

Guess guess(std::string_view head) {
  const auto starts = [&](std::string_view text) { return head.starts_with(text); };
  if (head.empty()) return {.kind = "nothing", .outcome = Outcome::failed, .detail = "the file is empty"};
  if (starts("PGDMP")) return custom_format(head);
  if (starts("\x1f\x8b")) return {.kind = "gzip", .detail = "compressed: gzip -dc FILE | datamancy backup inspect -"};
  if (starts("\x28\xb5\x2f\xfd")) return {.kind = "zstd", .detail = "compressed: zstd -dc FILE | datamancy backup inspect -"};
  if (starts("\xfd" "7zXZ")) return {.kind = "xz", .detail = "compressed: xz -dc FILE | datamancy backup inspect -"};
  if (starts("age-encryption.org/")) return {.kind = "age", .detail = "encrypted: age -d FILE | datamancy backup inspect -"};
  if (starts("SQLite format 3")) return {.kind = "SQLite database", .detail = "open it with integrity_check: sqlite3 FILE 'pragma integrity_check'"};
  if (starts("datamancy-dump 1 clickhouse\n")) return {.kind = "ClickHouse, as datamancy writes it", .reader = std::make_unique<ClickhouseStream>()};
  if (starts("datamancy-dump 1 couchdb\n")) return {.kind = "CouchDB, as datamancy writes it", .reader = std::make_unique<CouchdbStream>()};
  if (starts("datamancy-dump 1 qdrant\n")) return {.kind = "Qdrant, as datamancy writes it", .reader = std::make_unique<QdrantStream>()};
  if (starts("REDIS") || starts("VALKEY")) return {.kind = "RDB", .reader = std::make_unique<RdbStream>()};
  for (const std::string_view words : {"OCI runtime exec failed", "Error response from daemon", "Error: No such container", "pg_dump: error", "mysqldump: Got error", "mariadb-dump: Got error"})
    if (starts(words)) return {.kind = "error message", .outcome = Outcome::failed, .detail = "no dump: the words of a program that failed were stored in its place"};
  const auto begin = head.substr(0, 4096);
  if (begin.find("PostgreSQL database dump") != std::string_view::npos || begin.find("PostgreSQL database cluster dump") != std::string_view::npos) return {.kind = "pg_dump, plain", .reader = std::make_unique<PgDumpStream>()};
  if (begin.find("-- MariaDB dump ") != std::string_view::npos || begin.find("-- MySQL dump ") != std::string_view::npos) return {.kind = "mariadb-dump", .reader = std::make_unique<MysqlDumpStream>()};
  if (starts(kMysqlAccounts)) return {.kind = "accounts of MySQL, as datamancy writes them", .reader = std::make_unique<MysqlDumpStream>()};
  if (head.size() >= 512 && head.substr(257, 5) == "ustar") return {.kind = "tar", .reader = make_tree_reader()};
  if (starts("dn:") || starts("version: 1\n") || begin.find("\ndn: ") != std::string_view::npos) return {.kind = "LDIF", .reader = std::make_unique<LdifStream>()};
  return {.kind = "unknown", .detail = "none of the kinds that are known here"};
}

}  // namespace

Result<Inspected> inspect(const Source& in) {
  std::string head;
  bool ended = false;
  while (head.size() < (1U << 20U) && !ended) {
    DM_TRY(const std::string piece, in());
    ended = piece.empty();
    head += piece;
  }
  Inspected out;
  out.bytes = head.size();
  auto what = guess(head);
  out.kind = std::move(what.kind);
  out.outcome = what.outcome;
  out.detail = std::move(what.detail);
  Result<void> read;
  const bool terminal = what.reader && count(head, "\r\n") > 10 && count(head, "\n") == count(head, "\r\n");
  if (what.reader) read = what.reader->take(head);
  while (!ended) {
    DM_TRY(const std::string piece, in());
    ended = piece.empty();
    out.bytes += piece.size();
    if (what.reader && read) read = what.reader->take(piece);
  }
  if (!what.reader) return out;
  auto print = read ? what.reader->finish() : Result<Fingerprint>(fail(read.error()));
  const bool module = !print && print.error().code == Errc::unsupported;
  out.outcome = print ? Outcome::verified : module ? Outcome::could_not_verify : Outcome::failed;
  if (print) {
    out.detail = fmt::format("whole: {} rows in {} parts{}{}", print->rows(), print->parts.size(), print->producer.empty() ? "" : ", written by ", print->producer);
    if (out.kind == "LDIF" && print->producer.empty()) {
      out.outcome = Outcome::could_not_verify;
      out.detail = fmt::format("every entry is whole ({}), but LDIF has no end mark: entries that are missing at its end cannot be noticed", print->rows());
    }
    out.fingerprint = *std::move(print);
  } else {
    out.detail = print.error().message;
  }
  if (terminal) {
    out.outcome = Outcome::failed;
    out.detail = "every line ends in a carriage return: it passed through a terminal, and binary values in it are damaged";
  }
  return out;
}

}  // namespace dm::backup

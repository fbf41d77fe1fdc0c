/// Any bytes as a dump of each kind: every reader ends in an answer, and the answer does not depend on how the stream was cut into
/// pieces. The first byte chooses the size of the pieces.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "backup/clickhouse_stream.hpp"
#include "backup/couchdb_stream.hpp"
#include "backup/inspect.hpp"
#include "backup/ldif_stream.hpp"
#include "backup/mysqldump_stream.hpp"
#include "backup/pg_dump_stream.hpp"
#include "backup/qdrant_stream.hpp"
#include "backup/rdb_stream.hpp"
#include "backup/tree.hpp"

namespace {

using dm::Result;
using dm::backup::DumpReader;
using dm::backup::Fingerprint;

Result<Fingerprint> read(std::unique_ptr<DumpReader> reader, std::string_view text, std::size_t piece) {
  for (std::size_t at = 0; at < text.size(); at += piece) DM_CHECK(reader->take(text.substr(at, piece)));
  return reader->finish();
}

std::unique_ptr<DumpReader> make(int kind) {
  switch (kind) {
    case 0: return std::make_unique<dm::backup::PgDumpStream>();
    case 1: return std::make_unique<dm::backup::MysqlDumpStream>();
    case 2: return std::make_unique<dm::backup::RdbStream>();
    case 3: return std::make_unique<dm::backup::LdifStream>();
    case 4: return std::make_unique<dm::backup::ClickhouseStream>();
    case 5: return std::make_unique<dm::backup::CouchdbStream>();
    case 6: return std::make_unique<dm::backup::QdrantStream>();
    default: return dm::backup::make_tree_reader();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = 1 + data[0];
  for (int kind = 0; kind < 8; ++kind) {
    const auto whole = read(make(kind), text, text.size() + 1);
    const auto pieces = read(make(kind), text, piece);
    if (static_cast<bool>(whole) != static_cast<bool>(pieces) || (whole && *whole != *pieces)) std::abort();
    if (!whole) continue;
    const auto again = Fingerprint::parse(whole->json());
    if (!again || *again != *whole) std::abort();
  }
  bool given = false;
  const auto seen = dm::backup::inspect([&]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : std::string(text); });
  if (!seen || seen->bytes != text.size()) std::abort();
  return 0;
}

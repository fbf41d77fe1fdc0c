#include "state/db.hpp"

#include "state/schema.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

namespace dm::state {
namespace {

[[noreturn]] void raise(sqlite3* db, std::string_view doing) {
  throw StateError(fmt::format("{}: {}", doing, db ? sqlite3_errmsg(db) : "out of memory"));
}

}  // namespace

void Db::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }
void Db::Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Db::Db(const std::filesystem::path& file) {
  sqlite3* db = nullptr;
  const int status = sqlite3_open(file.c_str(), &db);
  db_.reset(db);  // to be closed even when opening failed
  if (status != SQLITE_OK) raise(db, fmt::format("opening {}", file.string()));
  if (file != ":memory:") ::chmod(file.c_str(), 0600);
  sqlite3_busy_timeout(db, 5000 /*ms*/);
  rows<std::string>("pragma journal_mode = wal");
  run("pragma foreign_keys = on");
  migrate();
}

void Db::migrate() {
  transaction([&] {
    const auto [done] = rows<std::int64_t>("pragma user_version").at(0);
    const auto steps = migrations();
    const auto known = static_cast<std::int64_t>(steps.size());
    if (done > known) throw StateError(fmt::format("schema {} of the state is newer than this program ({}): use the newer datamancy", done, known));
    for (std::int64_t step = done; step < known; ++step) run(steps[static_cast<std::size_t>(step)]);
    run(fmt::format("pragma user_version = {}", known));
  });
}

Db::Statement::Statement(sqlite3* db, std::string_view sql) : db_(db) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK)
    raise(db, sql);
  statement_.reset(statement);
}

void Db::Statement::bind(int index, std::int64_t value) {
  if (sqlite3_bind_int64(statement_.get(), index, value) != SQLITE_OK) raise(db_, "bind");
}

void Db::Statement::bind(int index, std::string_view value) {
  if (sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) !=
      SQLITE_OK)
    raise(db_, "bind");
}

bool Db::Statement::step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW: return true;
    case SQLITE_DONE: return false;
    default: raise(db_, sqlite3_sql(statement_.get()));
  }
}

template <>
std::int64_t Db::Statement::get(std::size_t column) {
  return sqlite3_column_int64(statement_.get(), static_cast<int>(column));
}

template <>
std::string Db::Statement::get(std::size_t column) {
  const int index = static_cast<int>(column);
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), index));
  return text ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), index)))
              : std::string();
}

}  // namespace dm::state

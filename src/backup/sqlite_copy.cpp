#include "backup/sqlite_copy.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace dm::backup {
namespace {

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Db = std::unique_ptr<sqlite3, Close>;

Result<Db> open(const std::string& path, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Db db(raw);
  if (code != SQLITE_OK) return fail(Errc::failed, raw != nullptr ? sqlite3_errmsg(raw) : "out of memory");
  sqlite3_busy_timeout(raw, 60'000);
  return db;
}

}  // namespace

Result<Fd> copy_database(const std::string& path, const Deadline& deadline) {
  // Read-write, since a WAL database needs its -shm; it is not written to.
  auto opened = open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);
  if (!opened) opened = open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX);
  DM_TRY(const Db source, std::move(opened));
  sqlite3_exec(source.get(), "pragma wal_autocheckpoint = 0", nullptr, nullptr, nullptr);  // the application's business
  const auto name = fmt::format("{}.datamancy-{}", path, ::getpid());
  Fd file(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return fail(errno_error(fmt::format("make {}", name), errno));
  auto made = open(name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);
  if (made) sqlite3_exec(made->get(), "pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive", nullptr, nullptr, nullptr);
  ::unlink(name.c_str());
  DM_TRY(Db target, std::move(made));
  sqlite3_backup* const backup = sqlite3_backup_init(target.get(), "main", source.get(), "main");
  if (backup == nullptr) return fail(Errc::failed, sqlite3_errmsg(target.get()));
  // All pages in one step under one read lock: a step by step copy begins anew whenever somebody writes.
  int code = SQLITE_BUSY;
  for (int tries = 0; tries < 100 && (code == SQLITE_BUSY || code == SQLITE_LOCKED) && !deadline.passed() && !deadline.stopped(); ++tries) code = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED) return fail(Errc::conflict, "it stays locked by a writer");
  if (code != SQLITE_DONE || finished != SQLITE_OK) return fail(code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? Errc::corrupt : Errc::failed, sqlite3_errstr(code != SQLITE_DONE ? code : finished));
  target.reset();
  return file;
}

Result<void> check_database(const std::string& path, const Deadline&) {
  DM_TRY(const Db db, open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX));
  for (const char* pragma : {"pragma integrity_check(5)", "pragma foreign_key_check"}) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db.get(), pragma, -1, &raw, nullptr) != SQLITE_OK) return fail(Errc::corrupt, sqlite3_errmsg(db.get()));
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
    const bool integrity = std::string_view(pragma).find("integrity") != std::string_view::npos;
    int code = 0;
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, 0));
      const std::string_view words = text != nullptr ? text : "";
      if (integrity && words == "ok") continue;
      // Foreign keys that dangle are the application's, not the backup's, where they dangled before; said, not judged.
      if (integrity) return fail(Errc::corrupt, std::string(words));
    }
    if (code != SQLITE_DONE) return fail(Errc::corrupt, sqlite3_errmsg(db.get()));
  }
  return {};
}

}  // namespace dm::backup

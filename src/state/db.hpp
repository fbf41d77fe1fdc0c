/// The program's own SQLite file. A fault here is not an outcome that a caller can act on, so it throws; the request or job in
/// hand fails as a whole. Tables are declared in schema.hpp, one file per table reads and writes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace dm::state {

struct StateError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One connection. Not thread-safe: give each thread its own, or keep it in `Guarded`.
class Db {
 public:
  /// Opens or creates `file` (":memory:" for tests) and brings its schema up to date. Created files have mode 0600. Throws
  /// StateError, also where a newer program has written the file.
  explicit Db(const std::filesystem::path& file);

  /// `db.run("delete from jobs where id = ?", id);`
  template <class... Args>
  void run(std::string_view sql, const Args&... args) {
    Statement statement = prepare(sql, args...);
    while (statement.step()) {
    }
  }

  /// `for (auto [name, at] : db.rows<std::string, std::int64_t>("select name, at from jobs")) ...`
  template <class... Columns, class... Args>
  std::vector<std::tuple<Columns...>> rows(std::string_view sql, const Args&... args) {
    std::vector<std::tuple<Columns...>> result;
    Statement statement = prepare(sql, args...);
    while (statement.step()) result.push_back(statement.row<Columns...>(std::index_sequence_for<Columns...>()));
    return result;
  }

  /// Runs `body` in one transaction; rolls back if it throws.
  template <class F>
  void transaction(F&& body) {
    run("begin immediate");
    try {
      body();
    } catch (...) {
      run("rollback");
      throw;
    }
    run("commit");
  }

 private:
  class Statement {
   public:
    Statement(sqlite3* db, std::string_view sql);
    void bind(int index, std::int64_t value);
    void bind(int index, std::string_view value);
    bool step();  ///< True while there is a row.

    template <class... Columns, std::size_t... I>
    std::tuple<Columns...> row(std::index_sequence<I...>) {
      return {get<Columns>(I)...};
    }

   private:
    struct Finalize {
      void operator()(sqlite3_stmt* statement) const;
    };
    template <class Column>
    Column get(std::size_t column);  ///< Defined for std::int64_t and std::string.

    sqlite3* db_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  };

  template <class... Args>
  Statement prepare(std::string_view sql, const Args&... args) {
    Statement statement(db_.get(), sql);
    int index = 0;
    (statement.bind(++index, args), ...);
    return statement;
  }

  void migrate();

  struct Close {
    void operator()(sqlite3* db) const;
  };
  std::unique_ptr<sqlite3, Close> db_;
};

template <>
std::int64_t Db::Statement::get(std::size_t column);
template <>
std::string Db::Statement::get(std::size_t column);

}  // namespace dm::state

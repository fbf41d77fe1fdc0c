/// MariaDB and MySQL: mariadb-dump (mysqldump), one database a stream, and the users.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include "backup/driver.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/drivers/mysql_accounts.hpp"
#include "backup/inside.hpp"
#include "backup/mysqldump_stream.hpp"
#include "backup/repository.hpp"

namespace dm::backup {
namespace {

constexpr std::string_view kUsers = "(users)";

/// Finds the password where the image's own entrypoint does, inside the container: it never leaves it. The first word says which
/// program is meant, since two names are in use.
constexpr std::string_view kClient = R"sh(
user=root
MYSQL_PWD=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}
for f in "${MARIADB_ROOT_PASSWORD_FILE:-}" "${MYSQL_ROOT_PASSWORD_FILE:-}"; do
  if [ -z "$MYSQL_PWD" ] && [ -n "$f" ] && [ -r "$f" ]; then MYSQL_PWD=$(cat "$f"); fi
done
if [ -n "${DATAMANCY_STAND_IN:-}" ]; then user=datamancy_drill; MYSQL_PWD=; fi
if [ "$1" = bootstrap ]; then user=root; MYSQL_PWD=; fi
export MYSQL_PWD
case $1 in dump) names='mariadb-dump mysqldump' ;; check) names='mariadb-check mysqlcheck' ;; *) names='mariadb mysql' ;; esac
shift
for name in $names; do
  if command -v "$name" >/dev/null 2>&1; then exec "$name" -u"$user" "$@"; fi
done
echo "neither of $names is in this image" >&2
exit 127
)sh";

Inside client(std::string kind, std::vector<std::string> words) {
  words.insert(words.begin(), std::move(kind));
  return {.name = "mariadb client", .script = kClient, .words = std::move(words)};
}

using Rows = std::vector<std::vector<std::string>>;

/// What --batch prints.
Rows rows_of(std::string_view text) {
  Rows out;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    auto& row = out.emplace_back();
    while (true) {
      const auto cut = line.find('\t');
      // --batch escapes what would break a line.
      std::string cell;
      const auto raw = line.substr(0, cut);
      for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] != '\\' || i + 1 == raw.size()) cell += raw[i];
        else cell += raw[i + 1] == 'n' ? '\n' : raw[i + 1] == 't' ? '\t' : raw[i + 1] == '0' ? '\0' : raw[i + 1], ++i;
      }
      row.push_back(std::move(cell));
      if (cut == std::string_view::npos) break;
      line.remove_prefix(cut + 1);
    }
  }
  return out;
}

Result<Rows> query(engine::Engine& engine, const Target& target, std::string_view sql, const Deadline& deadline, std::string kind = "client") {
  DM_TRY(const auto result, run_inside(engine, target.container, client(std::move(kind), {"--batch", "--skip-column-names", "-e", std::string(sql)}), deadline.at_most(std::chrono::minutes(2))));
  return rows_of(result.out);
}

/// Statements that are too many for an argument.
Result<Rows> query_many(engine::Engine& engine, const Target& target, const std::string& sql, const Deadline& deadline) {
  auto inside = client("client", {"--batch", "--skip-column-names"});
  inside.in = [&sql, given = false]() mutable -> Result<std::string> { return std::exchange(given, true) ? std::string() : sql; };
  DM_TRY(const auto result, run_inside(engine, target.container, std::move(inside), deadline.at_most(std::chrono::minutes(10))));
  return rows_of(result.out);
}

std::string quote(std::string_view name) { return sql_quoted(name, '`'); }
std::string literal(std::string_view text) { return sql_quoted(text, '\''); }

std::string file_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    out += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return out + ".sql";
}

bool is_mysql(const Target& target) {
  const auto found = target.facts.find("version");
  return found != target.facts.end() && found->second.find("MariaDB") == std::string::npos;
}

/// SHOW CREATE USER came with 5.7; from 8.0 to 8.0.16 it prints hashes that are no text.
bool says_accounts(std::string_view version) { return version_at_least(version, "8.0.17") || (version_at_least(version, "5.7.6") && !version_at_least(version, "8")); }

int major(const Target& target) {
  int number = 0;
  const auto found = target.facts.find("version");
  if (found != target.facts.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
  return number;
}

class Mariadb final : public Driver {
 public:
  std::string_view kind() const override { return "mariadb"; }
  std::string_view title() const override { return "MariaDB"; }

  Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto rows, query(engine, target, "select version(), @@server_id, (select count(*) from information_schema.tables where engine not in ('InnoDB', 'SEQUENCE') and table_type = 'BASE TABLE' "
                                                  "and table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema'))", deadline));
    if (rows.empty() || rows[0].size() < 3) return fail(Errc::corrupt, "the server's answer cannot be read");
    target.facts["version"] = rows[0][0];
    target.facts["not_transactional"] = rows[0][2];
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto rows, query(engine, target, "select schema_name from information_schema.schemata where schema_name not in ('mysql', 'sys', 'information_schema', 'performance_schema') order by 1", deadline));
    std::vector<Item> out;
    for (const auto& row : rows) {
      Item item;
      item.name = row[0];
      item.file = "db-" + file_name(row[0]);
      DM_TRY(const auto others, query(engine, target, fmt::format("select table_name, engine from information_schema.tables where table_schema = {} and table_type = 'BASE TABLE' and engine <> 'InnoDB'", literal(row[0])), deadline));
      if (!others.empty()) item.notes.push_back(fmt::format("{} tables are not InnoDB (the first: {}, {}): they are not part of the dump's snapshot", others.size(), others[0][0], others[0][1]));
      out.push_back(std::move(item));
    }
    // Last: grants name tables.
    if (is_mysql(target) && !says_accounts(target.facts.at("version"))) {
      if (!out.empty()) out.front().unsaved.push_back(fmt::format("users and grants of MySQL {} are not saved: this server does not say them in a form that can be given back (5.7, and 8.0.17 or later, do)", target.facts.at("version")));
    } else {
      out.push_back({.name = std::string(kUsers), .file = "users.sql", .small = true});
    }
    return out;
  }

  Result<void> dump(engine::Engine& engine, const Target& target, const Item& item, const Sink& out, std::vector<std::string>& notes, const Deadline& deadline) const override {
    if (item.name == kUsers && is_mysql(target)) {
      DM_TRY(const auto text, mysql_accounts([&](const std::string& sql) { return query_many(engine, target, sql, deadline); }, target.facts.at("version"), notes));
      return out(text);
    }
    auto inside = item.name == kUsers ? client("dump", {"--system=users", "--replace", "--skip-dump-date"})
                                      : client("dump", {"--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob", "--tz-utc", "--skip-dump-date",
                                                        "--default-character-set=utf8mb4", "--databases", "--", item.name});
    // With the numbers of the server's transactions, one database could be restored only into a server that has none yet.
    if (is_mysql(target)) inside.words.insert(inside.words.begin() + 1, "--set-gtid-purged=OFF");
    inside.out = out;
    DM_CHECK(run_inside(engine, target.container, std::move(inside), deadline));
    return {};
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<MysqlDumpStream>(); }

  Result<engine::NewContainer> stand_in(const Target& target) const override {
    engine::NewContainer out;
    out.image = target.image_id;
    out.network = "none";
    out.env = {"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1", "MYSQL_ALLOW_EMPTY_PASSWORD=1", "DATAMANCY_STAND_IN=1"};
    out.command = {"mariadbd", "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--event-scheduler=OFF"};
    if (is_mysql(target)) out.command[0] = "mysqld";
    return out;
  }

  Result<void> await(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    std::string last = "no answer yet";
    while (true) {
      const auto state = engine.container(target.container, deadline.at_most(std::chrono::seconds(20)));  // a busy engine is asked again
      if (!state && (state.error().code != Errc::timeout || deadline.passed())) return fail(state.error());
      if (state && !state->running) return fail(Errc::failed, fmt::format("the server stopped with {} before it was ready", state->exit_code));
      // The image's first server, for its own set-up, is no process 1.
      constexpr std::string_view kFirst = R"sh(case $(cat /proc/1/comm) in mariadbd|mysqld) exit 0 ;; esac; exit 1)sh";
      if (run_inside(engine, target.container, {.name = "mariadb client", .script = kFirst}, deadline.at_most(std::chrono::seconds(15)))) {
        // The stand-in's own user: the users that are restored replace root.
        auto made = query(engine, target, "create user if not exists datamancy_drill@localhost identified by ''; grant all on *.* to datamancy_drill@localhost with grant option; grant proxy on ''@'%' to datamancy_drill@localhost with grant option", deadline.at_most(std::chrono::seconds(20)), "bootstrap");
        if (made) return {};
        last = made.error().message;
      }
      if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
      if (deadline.passed()) return fail(Errc::timeout, fmt::format("the server did not get ready: {}", last));
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
  }

  Result<void> restore(engine::Engine& engine, const Target& target, const Item& item, const Source& in, const RestoreInto& into, const Deadline& deadline) const override {
    const auto name = into.name.empty() ? item.name : into.name;
    if (item.name == kUsers) {
      if (is_mysql(target)) return feed(engine, target, in, {}, {}, deadline);
      if (!target.facts.contains("stand_in")) return feed_accounts(engine, target, in, deadline);
      DM_TRY(const auto users, query(engine, target, "select user, host from mysql.user where user not in ('datamancy_drill', 'mariadb.sys')", deadline));
      std::string drop;
      for (const auto& user : users) drop += fmt::format("drop user {}@{};", literal(user[0]), literal(user.size() > 1 ? user[1] : "%"));
      if (!drop.empty()) DM_CHECK(query(engine, target, drop, deadline));
      return feed(engine, target, in, {}, {}, deadline);
    }
    DM_TRY(const auto there, query(engine, target, "select count(*) from information_schema.schemata where schema_name = " + literal(name), deadline));
    const bool exists = !there.empty() && there[0][0] != "0";
    if (exists && !into.replace) return fail(Errc::conflict, fmt::format("there is a database '{}' already", name));
    if (exists) DM_CHECK(query(engine, target, "drop database " + quote(name), deadline));
    auto done = feed(engine, target, in, item.name, name, deadline);
    if (done) return {};
    auto error = std::move(done).error();
    if (auto dropped = query(engine, target, "drop database if exists " + quote(name), Deadline::in(std::chrono::minutes(1))); !dropped)
      error.during.push_back(fmt::format("the half restored database '{}' could not be dropped ({})", name, dropped.error().message));
    return fail(std::move(error));
  }

  Result<std::string> check(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto result, run_inside(engine, target.container, client("check", {"--all-databases", "--check", "--silent"}), deadline));
    if (result.out.find("error") != std::string::npos || result.out.find("Corrupt") != std::string::npos) return fail(Errc::corrupt, fmt::format("mariadb-check: {}", last_words(result.out)));
    return std::string("mariadb-check clean");
  }

  Compare comparison(const Target& then, const Target& now) const override { return major(then) == major(now) ? Compare::everything : Compare::data; }

 private:
  /// Into a server that stays.
  static Result<void> feed_accounts(engine::Engine& engine, const Target& target, const Source& in, const Deadline& deadline) {
    constexpr std::size_t kMost = 64U << 20U;
    std::string text;
    while (true) {
      DM_TRY(const std::string piece, in());
      if (piece.empty()) break;
      text += piece;
      if (text.size() > kMost) return fail(Errc::invalid_input, "the accounts are larger than 64 MiB");
    }
    auto kept = without_root(text);
    return feed(engine, target, [&]() -> Result<std::string> { return std::exchange(kept, {}); }, {}, {}, deadline);
  }

  /// The client stops at the first error, and then prints the whole failing statement, which holds data: only its first line is said.
  static Result<void> feed(engine::Engine& engine, const Target& target, const Source& in, const std::string& from, const std::string& to, const Deadline& deadline) {
    auto inside = client("client", {"--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--binary-mode"});
    // Only the few lines before the first table name the database; they come within the first pieces.
    std::string held;
    bool through = from == to;
    bool ended = false;
    inside.in = [&, through, ended]() mutable -> Result<std::string> {
      while (!ended) {
        DM_TRY(std::string piece, in());
        ended = piece.empty();
        if (through) return piece;
        held += piece;
        const auto use = held.find("\nUSE `");
        const auto end = use == std::string::npos ? use : held.find('\n', use + 1);
        if (end == std::string::npos && !ended && held.size() < (1U << 20U)) continue;
        through = true;
        const auto old_name = quote(from);
        for (const std::string_view before : {"\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ ", "\nUSE "})
          if (const auto at = held.find(fmt::format("{}{}", before, old_name)); at != std::string::npos && at <= use) held.replace(at + before.size(), old_name.size(), quote(to));
        if (!held.empty()) return std::exchange(held, {});
      }
      return std::string();
    };
    auto done = run_inside(engine, target.container, std::move(inside), deadline);
    if (done) return {};
    auto error = std::move(done).error();
    if (const auto at = error.message.find("ERROR "); at != std::string::npos) {
      // "ERROR 1146 (42S02) at line 7: Table 'x' does not exist"; what follows "near" is a piece of the statement.
      auto words = error.message.substr(at);
      words.erase(std::min(words.find(" near "), words.size()));
      words.erase(std::min<std::size_t>(words.size(), 200));
      error.message = words;
    }
    return fail(std::move(error));
  }
};

}  // namespace

const Driver& mariadb_driver() {
  static const Mariadb driver;
  return driver;
}

}  // namespace dm::backup

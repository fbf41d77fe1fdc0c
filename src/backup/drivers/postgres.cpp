/// PostgreSQL: pg_dump in plain format, one database a stream, and pg_dumpall for roles and tablespaces.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <charconv>
#include <thread>

#include "backup/driver.hpp"
#include "backup/inside.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/pg_dump_stream.hpp"

namespace dm::backup {
namespace {

constexpr std::string_view kRoles = "(roles)";

/// Finds user and password where the image's own entrypoint does, inside the container: they never leave it.
constexpr std::string_view kClient = R"sh(
PGUSER=${PGUSER:-${POSTGRES_USER:-${POSTGRESQL_USERNAME:-}}}
if [ -z "$PGUSER" ] && [ -r "${POSTGRES_USER_FILE:-/dev/null/none}" ]; then PGUSER=$(cat "$POSTGRES_USER_FILE"); fi
PGUSER=${PGUSER:-postgres}
PGPASSWORD=${PGPASSWORD:-${POSTGRES_PASSWORD:-${POSTGRESQL_PASSWORD:-}}}
for f in "${POSTGRES_PASSWORD_FILE:-}" "${POSTGRESQL_PASSWORD_FILE:-}"; do
  if [ -z "$PGPASSWORD" ] && [ -n "$f" ] && [ -r "$f" ]; then PGPASSWORD=$(cat "$f"); fi
done
export PGUSER PGPASSWORD
exec "$@"
)sh";

/// Times as UTC whatever the database says, so that equal data prints equally.
std::vector<std::string> environment() { return {"PGTZ=UTC", "PGCONNECT_TIMEOUT=10", "PGCLIENTENCODING=UTF8", "LC_ALL=C"}; }

Inside client(std::vector<std::string> words) { return {.script = kClient, .words = std::move(words), .env = environment()}; }

std::vector<std::string> psql(std::string_view database) {
  // The name goes as a connection string of its own, so that one with '=' or a slash stays a name.
  std::string quoted = "dbname='";
  for (const char c : database) quoted += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  return {"psql", "-XAtq", "-w", "-v", "ON_ERROR_STOP=1", "-d", quoted + "'"};
}

Result<std::string> query(engine::Engine& engine, const Target& target, std::string_view database, std::string_view sql, const Deadline& deadline) {
  auto words = psql(database);
  words.insert(words.end(), {"-0", "-c", std::string(sql)});
  DM_TRY(auto result, run_inside(engine, target.container, client(std::move(words)), deadline.at_most(std::chrono::minutes(2))));
  return std::move(result.out);
}

/// psql -0 ends records with a zero byte.
std::vector<std::string> records(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\0'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

std::string quote(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

std::string fact(const Target& target, const char* name) {
  const auto found = target.facts.find(name);
  return found == target.facts.end() ? std::string() : found->second;
}

/// Of "170011" or "90624".
int major(const Target& target) {
  int number = 0;
  const auto text = fact(target, "version");
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number / 10000;
}

std::string file_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    out += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return out + ".sql";
}

class Postgres final : public Driver {
 public:
  std::string_view kind() const override { return "postgres"; }
  std::string_view title() const override { return "PostgreSQL"; }

  Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto text, query(engine, target, "template1",
                                  "select current_setting('server_version_num'), system_identifier::text, session_user, current_setting('shared_preload_libraries') "
                                  "from pg_control_system()", deadline));
    auto rows = records(text);
    std::vector<std::string> cells;
    std::string_view rest = rows.empty() ? std::string_view() : rows[0];
    for (std::size_t i = 0; i < 4; ++i) {
      const auto cut = i < 3 ? std::min(rest.find('|'), rest.size()) : rest.size();
      cells.emplace_back(rest.substr(0, cut));
      rest.remove_prefix(std::min(cut + 1, rest.size()));
    }
    target.facts["version"] = cells[0];
    target.identity = cells[1];
    target.facts["user"] = cells[2];
    if (!cells[3].empty()) target.facts["preload"] = cells[3];
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto text, query(engine, target, "template1", "select datname from pg_database where datallowconn and not datistemplate order by 1", deadline));
    std::vector<Item> out{{.name = std::string(kRoles), .file = "roles.sql", .small = true}};
    for (auto& name : records(text)) {
      auto file = "db-" + file_name(name);
      out.push_back({.name = std::move(name), .file = std::move(file)});
    }
    return out;
  }

  Result<void> dump(engine::Engine& engine, const Target& target, const Item& item, const Sink& out, std::vector<std::string>&, const Deadline& deadline) const override {
    std::vector<std::string> words;
    if (item.name == kRoles) {
      words = {"pg_dumpall", "-w", "--globals-only"};
    } else {
      words = psql(item.name);
      const auto name = words.back();
      words = {"pg_dump", "-w", "-Fp", "--create", "--encoding=UTF8", "--lock-wait-timeout=30000", "-d", name};
    }
    auto inside = client(std::move(words));
    inside.out = out;
    auto done = run_inside(engine, target.container, std::move(inside), deadline);
    if (done) return {};
    auto error = std::move(done).error();
    if (error.message.find("LOCK TABLE") != std::string::npos && error.message.find("timeout") != std::string::npos)
      error.message = "a table stayed locked for 30 s (somebody alters it, or left a transaction open): see pg_stat_activity and pg_locks; " + error.message;
    return fail(std::move(error));
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<PgDumpStream>(); }

  Result<engine::NewContainer> stand_in(const Target& target) const override {
    engine::NewContainer out;
    out.image = target.image_id;
    out.network = "none";
    const auto user = fact(target, "user");
    // Nothing but its own processes can reach it: no password is needed, and none is in its environment.
    out.env = {"POSTGRES_HOST_AUTH_METHOD=trust", "POSTGRES_USER=" + (user.empty() ? "postgres" : user), "POSTGRES_PASSWORD=", "POSTGRES_DB=postgres", "POSTGRES_INITDB_ARGS=--no-sync"};
    out.command = {"postgres", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_wal_size=4GB", "-c", "listen_addresses="};
    if (const auto preload = fact(target, "preload"); !preload.empty()) out.command.insert(out.command.end(), {"-c", "shared_preload_libraries=" + preload});
    return out;
  }

  Result<void> await(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    // The image runs a first server for its own set-up and stops it; the real one takes the entrypoint's place, and answers twice.
    const auto ready = std::string(kNoEntrypoint) + R"sh(exec psql -XAtq -w -U "$1" -d template1 -c 'select 1' >/dev/null)sh";
    auto user = fact(target, "user");
    if (user.empty()) user = "postgres";
    int good = 0;
    std::string last = "no answer yet";
    while (true) {
      // A busy engine is asked again until the deadline.
      const auto state = engine.container(target.container, deadline.at_most(std::chrono::seconds(20)));
      if (!state && (state.error().code != Errc::timeout || deadline.passed())) return fail(state.error());
      if (state && !state->running) return fail(Errc::failed, fmt::format("the server stopped with {} before it was ready", state->exit_code));
      auto result = run_inside(engine, target.container, {.script = ready, .words = {user}}, deadline.at_most(std::chrono::seconds(15)));
      good = result ? good + 1 : 0;
      if (!result) last = result.error().message;
      if (good >= 2) return {};
      if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
      if (deadline.passed()) return fail(Errc::timeout, fmt::format("the server did not get ready: {}", last));
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
  }

  Result<void> restore(engine::Engine& engine, const Target& target, const Item& item, const Source& in, const RestoreInto& into, const Deadline& deadline) const override {
    if (item.name == kRoles) return restore_roles(engine, target, in, deadline);
    const auto name = into.name.empty() ? item.name : into.name;
    DM_TRY(const auto there, query(engine, target, "template1", "select count(*) from pg_database where datname = " + literal(name), deadline));
    const bool exists = !there.starts_with('0');
    if (exists && !into.replace) return fail(Errc::conflict, fmt::format("there is a database '{}' already", name));
    if (exists) DM_CHECK(query(engine, target, "template1", "drop database " + quote(name) + (major(target) >= 13 ? " with (force)" : ""), deadline));
    PgRename rename(item.name, name);
    bool ended = false;
    auto inside = client(psql("template1"));
    inside.words.insert(inside.words.end(), {"-f", "-"});
    inside.in = [&]() -> Result<std::string> {
      while (!ended) {
        DM_TRY(std::string piece, in());
        ended = piece.empty();
        if (name == item.name) return piece;
        auto passed = rename.pass(piece, ended);
        if (!passed.empty()) return passed;
      }
      return std::string();
    };
    auto done = run_inside(engine, target.container, std::move(inside), deadline);
    if (done) return {};
    // What was half restored must not stay under a name that looks whole.
    auto dropped = query(engine, target, "template1", "drop database if exists " + quote(name) + (major(target) >= 13 ? " with (force)" : ""), Deadline::in(std::chrono::minutes(1)));
    auto error = std::move(done).error();
    if (!dropped) error.during.push_back(fmt::format("the half restored database '{}' could not be dropped ({})", name, dropped.error().message));
    return fail(std::move(error));
  }

  Result<std::string> check(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto names, query(engine, target, "template1", "select datname from pg_database where datallowconn and not datistemplate", deadline));
    const auto databases = records(names);
    for (const auto& name : databases) {
      DM_TRY(const auto invalid, query(engine, target, name, "select count(*) from pg_index where not indisvalid or not indisready", deadline));
      if (!invalid.starts_with('0')) return fail(Errc::corrupt, fmt::format("database '{}' has indexes that are not valid", name));
    }
    constexpr std::string_view kTool = "command -v pg_amcheck >/dev/null";
    if (!run_inside(engine, target.container, {.script = kTool}, deadline.at_most(std::chrono::seconds(20)))) return fmt::format("indexes valid in {} databases; pg_amcheck is not in the image", databases.size());
    auto checked = run_inside(engine, target.container, client({"pg_amcheck", "-w", "--all", "--install-missing", "--no-dependent-toast", "-j", "2"}), deadline);
    if (!checked) return fail(Errc::corrupt, fmt::format("pg_amcheck: {}", checked.error().message));
    return fmt::format("indexes valid, pg_amcheck clean in {} databases", databases.size());
  }

  Compare comparison(const Target& then, const Target& now) const override { return major(then) == major(now) ? Compare::everything : Compare::data; }

 private:
  /// Creates only the roles that are missing; passwords, memberships and settings are then as they were for all.
  Result<void> restore_roles(engine::Engine& engine, const Target& target, const Source& in, const Deadline& deadline) const {
    std::string text;
    while (true) {
      DM_TRY(const std::string piece, in());
      if (piece.empty()) break;
      text += piece;
      if (text.size() > (64U << 20U)) return fail(Errc::invalid_input, "the dump of the roles is larger than 64 MiB");
    }
    DM_TRY(const auto names, query(engine, target, "template1", "select rolname from pg_roles", deadline));
    std::string wanted;
    const auto have = records(names);
    for (std::string_view rest = text; !rest.empty();) {
      const auto end = std::min(rest.find('\n'), rest.size() - 1);
      const auto line = rest.substr(0, end + 1);
      rest.remove_prefix(end + 1);
      const bool exists = line.starts_with("CREATE ROLE ") && std::ranges::any_of(have, [&](const std::string& name) {
                            return line == fmt::format("CREATE ROLE {};\n", pg_identifier(name)) || line == fmt::format("CREATE ROLE {};\n", quote(name));
                          });
      if (!exists) wanted += line;
    }
    auto inside = client(psql("template1"));
    inside.words.insert(inside.words.end(), {"-1", "-f", "-"});
    bool given = false;
    inside.in = [&]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : wanted; };
    DM_CHECK(run_inside(engine, target.container, std::move(inside), deadline));
    return {};
  }
};

}  // namespace

const Driver& postgres_driver() {
  static const Postgres driver;
  return driver;
}

}  // namespace dm::backup

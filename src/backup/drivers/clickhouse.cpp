/// ClickHouse: every table's rows in RowBinary through its HTTP interface, one database a stream.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "backup/clickhouse_stream.hpp"
#include "backup/driver.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/inside.hpp"
#include "backup/json_text.hpp"
#include "backup/relay.hpp"
#include "secrets/crypto.hpp"

namespace dm::backup {
namespace {

constexpr int kPort = 8123;
constexpr std::string_view kKind = "clickhouse";

/// Prints user and password as the image's own entrypoint finds them; $1, $2 = user and file as labels of the container name them.
constexpr std::string_view kLogin = R"sh(
user=${1:-${CLICKHOUSE_USER:-default}}; pw=
for f in "$2" "${CLICKHOUSE_PASSWORD_FILE:-}" /run/secrets/clickhouse_password; do
  if [ -z "$pw" ] && [ -n "$f" ] && [ -r "$f" ]; then pw=$(cat "$f"); fi
done
printf '%s\n%s' "$user" "${pw:-${CLICKHOUSE_PASSWORD:-}}"
)sh";

Result<std::unique_ptr<Inquiry>> server(engine::Engine& engine, const Target& target, const Deadline& deadline) {
  std::string login;  // a stand-in lets its own user in
  if (!target.facts.contains("stand_in")) {
    DM_TRY(login, basic_login(engine, target.container, kLogin, deadline));
  }
  return std::make_unique<Inquiry>(engine, target.container, kPort, "ClickHouse", "Authorization", std::move(login));
}

std::string name_of(std::string_view name) {
  std::string out = "`";
  for (const char c : name) {
    if (c == '`' || c == '\\') out += '\\';
    out += c;
  }
  return out + '`';
}

std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string file_name(std::string_view name) {
  std::string out = "db-";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    out += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return out + ".clickhouse";
}

bool has_shape(const nlohmann::json& row, std::string_view shape) {
  if (!row.is_array() || row.size() != shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto& value = row[i];
    const bool fits = shape[i] == 's'   ? value.is_string()
                      : shape[i] == 'n' ? value.is_number() || value.is_boolean()
                                        : value.is_array() && std::ranges::all_of(value, [](const auto& one) { return one.is_string(); });
    if (!fits) return false;
  }
  return true;
}

/// Rows as arrays of JSON values, each of `shape`: a letter a column, s(tring), n(umber), a(rray of strings). "system" is there whatever is dropped.
Result<std::vector<nlohmann::json>> query(Inquiry& house, std::string_view shape, std::string sql, const Deadline& deadline) {
  DM_TRY(const auto answer, house.ask({.method = "POST", .target = "/?database=system&output_format_json_quote_64bit_integers=0", .body = std::move(sql) + " FORMAT JSONCompactEachRow", .content_type = "text/plain"}, deadline));
  std::vector<nlohmann::json> out;
  for (std::string_view rest = answer; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.empty()) continue;
    auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!has_shape(row, shape)) return fail(Errc::corrupt, "ClickHouse's answer cannot be read");
    out.push_back(std::move(row));
  }
  return out;
}

Result<void> command(Inquiry& house, std::string sql, const Deadline& deadline, std::string_view settings = "database=system") {
  DM_CHECK(house.ask({.method = "POST", .target = fmt::format("/?{}", settings), .body = std::move(sql), .content_type = "text/plain"}, deadline));
  return {};
}

constexpr std::string_view kSystem = "('system', 'INFORMATION_SCHEMA', 'information_schema')";
/// Tables that hold their rows themselves, by engine.
constexpr std::string_view kHolds = "(engine LIKE '%MergeTree' OR engine IN ('Log', 'TinyLog', 'StripeLog', 'Memory', 'Join', 'EmbeddedRocksDB') OR (engine = 'File' AND match(create_table_query, 'ENGINE = File\\(\\'[A-Za-z]+\\'\\)')))";
/// Engines whose tables keep nothing themselves: what they show lies in other tables, on other servers or nowhere. Any other one, also one of a release to come, is a finding.
constexpr std::string_view kHoldsNothing = "('View', 'MaterializedView', 'LiveView', 'WindowView', 'Dictionary', 'Distributed', 'Merge', 'Null', 'Alias', 'Loop', 'Remote', 'RemoteSecure', 'Cluster', 'GenerateRandom', 'FuzzJSON', 'FuzzQuery', "
                                           "'URL', 'S3', 'S3Queue', 'GCS', 'OSS', 'COSN', 'HDFS', 'AzureBlobStorage', 'AzureQueue', 'MySQL', 'PostgreSQL', 'MongoDB', 'Redis', 'ODBC', 'JDBC', 'Kafka', 'RabbitMQ', 'NATS', 'ExternalDistributed', "
                                           "'Iceberg', 'IcebergS3', 'IcebergAzure', 'IcebergHDFS', 'DeltaLake', 'DeltaLakeS3', 'DeltaLakeAzure', 'Hudi', 'Executable', 'ExecutablePool', 'YTsaurus', 'ArrowFlight', 'BigQuery', 'Set')";

struct Table {
  std::string name{}, engine{}, create{};
  bool holds = false;
  std::string plain{}, states{};        ///< columns, written out: values, and states of aggregate functions
  int rank = 0;                         ///< tables before dictionaries before views before materialized views
  std::set<std::string> after{};        ///< names of others in this database
};

class Clickhouse final : public Driver {
 public:
  std::string_view kind() const override { return kKind; }
  std::string_view title() const override { return "ClickHouse"; }

  Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto house, server(engine, target, deadline));
    auto rows = query(*house, "ss", "SELECT version(), toString(serverUUID())", deadline.at_most(std::chrono::minutes(1)));
    if (!rows) {
      auto error = std::move(rows).error();
      if (error.message.find("AUTHENTICATION_FAILED") != std::string::npos || error.code == Errc::denied)
        error.message += "; the labels datamancy.backup.user and datamancy.backup.password-file on its service say who may read everything";
      return fail(std::move(error));
    }
    if (rows->empty()) return fail(Errc::corrupt, "ClickHouse's answer cannot be read");
    target.facts["version"] = rows->front()[0].get<std::string>();
    target.identity = rows->front()[1].get<std::string>();
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto house, server(engine, target, deadline));
    const auto soon = deadline.at_most(std::chrono::minutes(2));
    DM_TRY(const auto rows, query(*house, "s", fmt::format("SELECT name FROM system.databases WHERE name NOT IN {} ORDER BY name", kSystem), soon));
    std::vector<Item> out;
    for (const auto& row : rows) {
      const auto name = row[0].get<std::string>();
      Item item{.name = name, .file = file_name(name)};
      const auto which = fmt::format("FROM system.tables WHERE database = {} AND NOT is_temporary", literal(name));
      DM_TRY(const auto lost, query(*house, "ns", fmt::format("SELECT count(), any(name) {} AND engine = 'Set'", which), soon));
      if (!lost.empty() && lost[0][0] != 0) item.notes.push_back(fmt::format("{} tables of engine Set cannot be read by anybody (the first: {}): they come back empty", lost[0][0].dump(), lost[0][1].get<std::string>()));
      DM_TRY(const auto hidden, query(*house, "ns", fmt::format("SELECT count(), any(name) {} AND position(create_table_query, '[HIDDEN]') > 0", which), soon));
      if (!hidden.empty() && hidden[0][0] != 0) item.notes.push_back(fmt::format("the server hides a password in the definition of {} tables (the first: {}): it has to be set again after a restore", hidden[0][0].dump(), hidden[0][1].get<std::string>()));
      DM_TRY(const auto kept, query(*house, "nss", fmt::format("SELECT count(), min(name), argMin(engine, name) {} AND NOT {} AND engine NOT IN {} AND name NOT LIKE '.inner%'", which, kHolds, kHoldsNothing), soon));
      if (!kept.empty() && kept[0][0] != 0)
        item.unsaved.push_back(fmt::format("in database '{}' {} tables have an engine whose data is not saved, but their definition (the first: {}, {})", name, kept[0][0].dump(), kept[0][1].get<std::string>(), kept[0][2].get<std::string>()));
      out.push_back(std::move(item));
    }
    if (auto beside = beside_databases(engine, target, *house, soon); !beside.empty() && !out.empty()) std::ranges::move(beside, std::back_inserter(out.front().unsaved));
    return out;
  }

  Result<void> dump(engine::Engine& engine, const Target& target, const Item& item, const Sink& out, std::vector<std::string>& notes, const Deadline& deadline) const override {
    DM_TRY(const auto house, server(engine, target, deadline));
    const auto version = target.facts.find("version");
    RecordWriter writer(out, kKind);
    DM_CHECK(writer.write("about", fmt::format(R"({{"database":{},"server":{}}})", json_of(item.name), json_of(version == target.facts.end() ? "" : version->second))));
    DM_TRY(const auto made, query(*house, "ss", fmt::format("SELECT engine, comment FROM system.databases WHERE name = {}", literal(item.name)), deadline));
    if (made.empty()) return fail(Errc::not_found, fmt::format("there is no database '{}'", item.name));
    // Others need an address or a keeper, or are no longer made.
    auto definition = made[0];
    const auto kept = definition[0].get<std::string>();
    if (kept != "Atomic" && kept != "Memory") {
      if (kept != "Ordinary") notes.push_back(fmt::format("the database has the engine {}, and comes back with the engine Atomic", kept));
      definition[0] = "Atomic";
    }
    DM_CHECK(writer.write("database", definition.dump()));
    DM_TRY(const auto tables, tables_of(*house, item.name, deadline));
    std::size_t states = 0;
    for (const auto& table : tables) {
      auto about = fmt::format(R"({{"name":{},"database":{},"create":{})", json_of(table.name), json_of(item.name), json_of(table.create));
      const auto columns = table.plain + (table.plain.empty() || table.states.empty() ? "" : ", ") + table.states;
      if (table.holds) about += fmt::format(R"(,"columns":{})", json_of(columns));
      DM_CHECK(writer.write("table", about + '}'));
      if (!table.holds) continue;
      if (!table.states.empty()) ++states;
      DM_TRY(const auto count, rows(*house, item.name, table, writer, deadline));
      DM_CHECK(writer.write("done", std::to_string(count)));
    }
    if (states > 0) notes.push_back(fmt::format("{} tables hold states of aggregate functions: those are saved, but a drill compares only the other columns", states));
    return writer.finish();
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<ClickhouseStream>(); }

  Result<engine::NewContainer> stand_in(const Target& target) const override {
    engine::NewContainer out;
    out.image = target.image_id;
    out.network = "none";
    out.env = {"CLICKHOUSE_SKIP_USER_SETUP=1"};
    return out;
  }

  Result<void> await(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    auto own = target;
    own.facts["stand_in"] = "yes";
    DM_TRY(const auto house, server(engine, own, deadline));
    return await_answer(engine, target.container, *house, "/?query=SELECT%201", deadline);
  }

  Result<void> restore(engine::Engine& engine, const Target& target, const Item& item, const Source& in, const RestoreInto& into, const Deadline& deadline) const override {
    const auto name = into.name.empty() ? item.name : into.name;
    DM_TRY(const auto house, server(engine, target, deadline));
    DM_TRY(const auto there, query(*house, "nn", fmt::format("SELECT count(), countIf(t.name != '') FROM system.databases AS d LEFT JOIN system.tables AS t ON t.database = d.name WHERE d.name = {}", literal(name)), deadline));
    const bool exists = !there.empty() && there[0][0] != 0;
    if (exists && !into.replace) return fail(Errc::conflict, fmt::format("there is a database '{}' already", name));
    if (exists) {
      DM_TRY(const auto copies, query(*house, "s", fmt::format("SELECT table FROM system.replicas WHERE database = {} AND total_replicas > 1", literal(name)), deadline));
      if (!copies.empty()) return fail(Errc::unsupported, fmt::format("tables of '{}' have other replicas: their rows would flow back and be there twice; restore under another name", name));
    }
    if (exists) DM_CHECK(command(*house, fmt::format("DROP DATABASE {} SYNC", name_of(name)), deadline));
    auto done = feed(*house, item.name, name, target.facts.contains("stand_in"), in, deadline);
    if (done) return {};
    auto error = std::move(done).error();
    if (auto dropped = command(*house, fmt::format("DROP DATABASE IF EXISTS {} SYNC", name_of(name)), Deadline::in(std::chrono::minutes(1))); !dropped)
      error.during.push_back(fmt::format("the half restored database '{}' could not be dropped ({})", name, dropped.error().message));
    return fail(std::move(error));
  }

  Result<void> compared(engine::Engine& engine, const Target& target, const Item& item, const RestoreInto& into, const Deadline& deadline) const override {
    const auto name = into.name.empty() ? item.name : into.name;
    DM_TRY(const auto house, server(engine, target, deadline));
    DM_TRY(const auto tables, query(*house, "s", fmt::format("SELECT name FROM system.tables WHERE database = {} AND engine LIKE '%MergeTree'", literal(name)), deadline));
    for (const auto& table : tables) DM_CHECK(during("letting ClickHouse merge again", command(*house, fmt::format("SYSTEM START MERGES {}.{}", name_of(name), name_of(table[0].get<std::string>())), deadline)));
    return {};
  }

  Result<std::string> check(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto house, server(engine, target, deadline));
    DM_TRY(const auto tables, query(*house, "ss", fmt::format("SELECT database, name FROM system.tables WHERE database NOT IN {} AND engine LIKE '%MergeTree'", kSystem), deadline));
    for (const auto& table : tables) {
      const auto which = fmt::format("{}.{}", name_of(table[0].get<std::string>()), name_of(table[1].get<std::string>()));
      DM_TRY(const auto said, query(*house, "n", fmt::format("CHECK TABLE {} SETTINGS check_query_single_value_result = 1", which), deadline));
      if (said.empty() || said[0][0] != 1) return fail(Errc::corrupt, fmt::format("CHECK TABLE {} finds damage", which));
    }
    return fmt::format("CHECK TABLE clean on {} tables", tables.size());
  }

  /// The server writes a CREATE statement in other words from release to release.
  Compare comparison(const Target& then, const Target& now) const override {
    const auto release = [](const Target& target) {
      const auto found = target.facts.find("version");
      if (found == target.facts.end()) return std::string();
      const auto dot = found->second.find('.');
      return found->second.substr(0, found->second.find('.', dot == std::string::npos ? dot : dot + 1));
    };
    return release(then) == release(now) ? Compare::everything : Compare::data;
  }

 private:
  /// What a server keeps beside its databases. Hashes of passwords are told by no query, so users cannot be saved by one.
  static std::vector<std::string> beside_databases(engine::Engine& engine, const Target& target, Inquiry& house, const Deadline& deadline) {
    // Each user, role, quota, policy and profile made by SQL is a file there; the server's own user need not be allowed to list them.
    constexpr std::string_view kAccess = R"sh(n=0; for f in "${1%/}"/access/*.sql; do [ -f "$f" ] && n=$((n + 1)); done; echo "$n")sh";
    std::vector<std::string> out;
    const auto files = run_inside(engine, target.container, {.name = "looking for users", .script = kAccess, .words = {target.data_path.empty() ? "/var/lib/clickhouse" : target.data_path}}, deadline);
    const auto ask = [&](std::string_view what) -> std::uint64_t {
      const auto rows = query(house, "n", fmt::format("SELECT count() FROM system.{}", what), deadline);
      return rows && !rows->empty() && (*rows)[0][0].is_number_unsigned() ? (*rows)[0][0].get<std::uint64_t>() : 0;
    };
    if (!files) out.push_back(fmt::format("whether there are users made by SQL could not be seen ({})", files.error().message));
    else if (!files->out.starts_with("0")) out.push_back(fmt::format("{} users, roles, quotas, policies or profiles made by SQL (the files in access/ of the data folder) are not saved", last_words(files->out)));
    else if (const auto users = ask("users WHERE storage NOT IN ('users_xml', 'users.xml')"); users > 0) out.push_back(fmt::format("{} users made by SQL are not saved", users));
    if (const auto functions = ask("functions WHERE origin = 'SQLUserDefined'"); functions > 0) out.push_back(fmt::format("{} functions made by SQL are not saved", functions));
    if (const auto named = ask("named_collections"); named > 0) out.push_back(fmt::format("{} named collections are not saved: their values are hidden", named));
    return out;
  }

  static Result<std::vector<Table>> tables_of(Inquiry& house, const std::string& database, const Deadline& deadline) {
    DM_TRY(const auto rows, query(house, "sssnsaa", fmt::format("SELECT name, engine, create_table_query, {}, toString(uuid), "
                                                     "arrayMap(p -> p.2, arrayFilter(p -> p.1 = database, arrayZip(loading_dependencies_database, loading_dependencies_table))), "
                                                     "arrayMap(p -> p.2, arrayFilter(p -> p.1 = database, arrayZip(dependencies_database, dependencies_table))) "
                                                     "FROM system.tables WHERE database = {} AND NOT is_temporary ORDER BY name",
                                                     kHolds, literal(database)), deadline));
    std::map<std::string, Table> tables;
    std::map<std::string, std::string> inner;  // the table in which a view keeps its rows -> the view
    for (const auto& row : rows) {
      if (row[1] != "MaterializedView") continue;
      const auto name = row[0].get<std::string>();
      inner[".inner_id." + row[4].get<std::string>()] = name;
      inner[".inner." + name] = name;
    }
    for (const auto& row : rows) {
      Table table{.name = row[0].get<std::string>(), .engine = row[1].get<std::string>(), .create = row[2].get<std::string>(), .holds = row[3] == 1};
      if (inner.contains(table.name)) continue;
      table.rank = table.engine == "MaterializedView" ? 3 : table.engine.find("View") != std::string::npos ? 2 : table.engine == "Dictionary" ? 1 : 0;
      for (const auto& other : row[5]) table.after.insert(other.get<std::string>());
      tables.emplace(table.name, std::move(table));
    }
    for (const auto& row : rows) {
      const auto view = inner.find(row[0].get<std::string>());
      if (view != inner.end()) tables.at(view->second).holds = true;  // written and read through the view
      // What reads from this one comes after it, or its rows would flow on and be there twice.
      const auto from = view != inner.end() ? view->second : row[0].get<std::string>();
      for (const auto& reader : row[6])
        if (const auto found = tables.find(reader.get<std::string>()); found != tables.end() && found->first != from) found->second.after.insert(from);
    }
    DM_TRY(const auto columns, query(house, "ssn", fmt::format("SELECT table, name, type LIKE '%AggregateFunction(%' AND type NOT LIKE 'SimpleAggregateFunction(%' FROM system.columns WHERE database = {} "
                                                        "AND default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL') ORDER BY table, position",
                                                        literal(database)), deadline));
    for (const auto& row : columns) {
      const auto found = tables.find(row[0].get<std::string>());
      if (found == tables.end()) continue;
      auto& list = row[2] == 1 ? found->second.states : found->second.plain;
      list += (list.empty() ? "" : ", ") + name_of(row[1].get<std::string>());
    }
    std::vector<Table> out;
    std::set<std::string> given;
    while (!tables.empty()) {
      auto next = tables.end();
      for (auto at = tables.begin(); at != tables.end(); ++at) {
        const bool free = std::ranges::all_of(at->second.after, [&](const std::string& name) { return given.contains(name) || !tables.contains(name); });
        if (free && (next == tables.end() || at->second.rank < next->second.rank)) next = at;
      }
      if (next == tables.end()) next = tables.begin();  // a circle: as good as any
      given.insert(next->first);
      out.push_back(std::move(next->second));
      tables.erase(next);
    }
    return out;
  }

  /// Each row as one value with its length, and a mark behind the last: the server writes that only where the query came to its end,
  /// while an error in the middle is text in the answer's body.
  static Result<std::uint64_t> rows(Inquiry& house, const std::string& database, const Table& table, RecordWriter& writer, const Deadline& deadline) {
    std::string mark = "datamancy-end-";
    for (const char c : secrets::random_bytes(16)) mark += fmt::format("{:02x}", static_cast<unsigned char>(c));
    const auto packed = [](const std::string& columns) { return columns.empty() ? std::string("''") : fmt::format("formatRow('RowBinary', {})", columns); };
    const auto size = [](const char* what) { return fmt::format("leftPad(lower(hex(length({}))), 8, '0')", what); };
    auto sql = fmt::format("SELECT concat({}, {}, p, s) FROM (SELECT {} AS p, {} AS s FROM {}.{}) FORMAT CustomSeparated SETTINGS format_custom_escaping_rule = 'Raw', format_custom_field_delimiter = '', "
                           "format_custom_row_before_delimiter = '', format_custom_row_after_delimiter = '', format_custom_row_between_delimiter = '', format_custom_result_before_delimiter = '', "
                           "format_custom_result_after_delimiter = {}, extremes = 0, final = 0, max_result_rows = 0, max_result_bytes = 0, max_execution_time = 0, max_rows_to_read = 0, max_bytes_to_read = 0, "
                           "read_overflow_mode = 'throw', timeout_overflow_mode = 'throw', result_overflow_mode = 'throw', limit = 0, offset = 0",
                           size("concat(p, s)"), size("p"), packed(table.plain), packed(table.states), name_of(database), name_of(table.name), literal(mark));
    constexpr std::size_t kChunk = 1U << 20U, kLongest = 200U << 20U;
    std::string held;
    std::size_t at = 0;  // behind the last whole row
    std::uint64_t count = 0;
    bool over = false;
    const auto take = [&](std::string_view piece) -> Result<void> {
      if (over) return fail(Errc::corrupt, "ClickHouse sent something after the last row");
      held += piece;
      while (held.size() - at >= 8) {
        const auto length = clickhouse_length(std::string_view(held).substr(at, 8));
        if (!length) {
          const auto rest = std::string_view(held).substr(at);
          if (rest == mark) over = true;
          else if (!mark.starts_with(rest)) return fail(Errc::failed, fmt::format("ClickHouse stopped within table '{}': {}", table.name, last_words(rest.substr(0, 300))));
          break;
        }
        if (*length > kLongest) return fail(Errc::unsupported, fmt::format("a row of table '{}' is over 200 MiB: that is not saved", table.name));
        if (held.size() - at < 16 + *length) break;
        at += 16 + *length;
        ++count;
      }
      if (at < kChunk && !over) return {};
      if (at > 0) DM_CHECK(writer.write("rows", std::string_view(held).substr(0, at)));
      if (over) held.clear();
      else held.erase(0, at);
      at = 0;
      return {};
    };
    DM_CHECK(house.stream({.method = "POST", .target = "/?database=system", .body = std::move(sql), .content_type = "text/plain"}, take, deadline));
    if (!over) {
      // Its reason, where it gave one, stands where the rest of a row should have been.
      const auto why = held.rfind("DB::Exception: ");
      return fail(Errc::failed, fmt::format("ClickHouse stopped within table '{}'{}{}", table.name, why == std::string::npos ? "" : ": ", why == std::string::npos ? "" : last_words(std::string_view(held).substr(why, 300))));
    }
    return count;
  }

  /// What a definition that was once allowed may need to be allowed again, where this server knows the setting.
  static Result<std::string> lenient(Inquiry& house, const Deadline& deadline) {
    DM_TRY(const auto rows, query(house, "s", "SELECT name FROM system.settings WHERE type = 'Bool' AND (name LIKE 'allow\\_suspicious\\_%' OR name LIKE 'allow\\_experimental\\_%type' OR name LIKE 'allow\\_experimental\\_%index' OR "
                                         "name IN ('allow_experimental_codecs', 'allow_nullable_key', 'enable_time_time64_type', 'allow_experimental_window_view', 'allow_experimental_live_view', 'enable_json_type', "
                                         "'allow_experimental_refreshable_materialized_view', 'allow_experimental_inverted_index'))", deadline));
    std::string out = "flatten_nested=0&data_type_default_nullable=0";
    for (const auto& row : rows) out += fmt::format("&{}=1", row[0].get<std::string>());
    return out;
  }

  static Result<void> feed(Inquiry& house, const std::string& from, const std::string& to, bool stand_in, const Source& in, const Deadline& deadline) {
    constexpr std::size_t kBatch = 8U << 20U;
    DM_TRY(const auto settings, lenient(house, deadline));
    const auto here = fmt::format("{}&database={}", settings, engine::escape(to));
    std::string table, columns, batch;
    const auto send = [&]() -> Result<void> {
      if (batch.empty()) return {};
      // As they are: nothing collapsed, nothing taken for a repetition.
      auto target = fmt::format("/?database=system&optimize_on_insert=0&insert_deduplicate=0&async_insert=0&max_partitions_per_insert_block=0&query={}",
                                engine::escape(fmt::format("INSERT INTO {}.{} ({}) FORMAT RowBinary", name_of(to), name_of(table), columns)));
      DM_CHECK(house.ask({.method = "POST", .target = std::move(target), .body = std::exchange(batch, {}), .content_type = "application/octet-stream"}, deadline));
      return {};
    };
    const auto record = [&](std::string_view tag, std::string_view bytes) -> Result<void> {
      if (tag == "database") {
        const auto made = nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
        if (!made.is_array() || made.size() != 2 || !made[0].is_string() || !made[1].is_string()) return fail(Errc::corrupt, "the definition of the database cannot be read");
        const auto engine = made[0].get<std::string>();
        const auto comment = made[1].get<std::string>();
        return command(house, fmt::format("CREATE DATABASE {} ENGINE = {}{}", name_of(to), engine, comment.empty() ? "" : " COMMENT " + literal(comment)), deadline);
      }
      if (tag == "table") {
        const auto about = nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
        const auto text = [&](const char* key) { return about.is_object() && about.contains(key) && about[key].is_string(); };
        if (!text("name") || !text("create") || (about.contains("columns") && !text("columns"))) return fail(Errc::corrupt, "the definition of a table cannot be read");
        table = about["name"].get<std::string>();
        columns = about.value("columns", "");
        auto create = about["create"].get<std::string>();
        const auto plain = clickhouse_plain(create, from);
        const bool replicated = create.find("ENGINE = Replicated") != std::string::npos;
        if (from != to && plain.starts_with("CREATE MATERIALIZED VIEW"))
          return fail(Errc::unsupported, fmt::format("'{}' is a materialized view: under another name it would go on reading from '{}', and writing there; restore in place, or into a folder", table, from));
        if (stand_in || !replicated) create = plain;  // of a replicated one only the name's database may go
        DM_CHECK(during(fmt::format("making '{}'", table), command(house, create, deadline, here)));
        // A merge drops rows that the engine takes for outdated: between the restore and the comparison (`compared`) there must be none.
        if (create.find("MergeTree") != std::string::npos) DM_CHECK(command(house, fmt::format("SYSTEM STOP MERGES {}.{}", name_of(to), name_of(table)), deadline));
      } else if (tag == "rows") {
        return each_clickhouse_row(bytes, [&](std::string_view, std::string_view whole) -> Result<void> {
          batch += whole;
          return batch.size() < kBatch ? Result<void>() : send();
        });
      } else if (tag == "done") {
        return during(fmt::format("filling '{}'", table), send());
      }
      return {};
    };
    return each_record(kKind, in, record);
  }
};

}  // namespace

const Driver& clickhouse_driver() {
  static const Clickhouse driver;
  return driver;
}

}  // namespace dm::backup

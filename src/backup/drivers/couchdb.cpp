/// CouchDB: every leaf revision of every document through its HTTP interface, one database a stream.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "backup/couchdb_stream.hpp"
#include "backup/driver.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/json_text.hpp"
#include "backup/relay.hpp"

namespace dm::backup {
namespace {

constexpr int kPort = 5984;
constexpr std::string_view kKind = "couchdb";
constexpr std::string_view kDrillUser = "datamancy_drill", kDrillPassword = "drill";  // of a server that nobody else can reach

/// Prints the administrator and the password: $1, $2 = user and file as labels of the container name them, each may be empty. The
/// last resort is an ini file in which the password still stands as it is.
constexpr std::string_view kLogin = R"sh(
user=${1:-${COUCHDB_USER:-}}; pw=
for f in "$2" "${COUCHDB_PASSWORD_FILE:-}" /run/secrets/couchdb_password; do
  if [ -z "$pw" ] && [ -n "$f" ] && [ -r "$f" ]; then pw=$(cat "$f"); fi
done
[ -n "$pw" ] || pw=${COUCHDB_PASSWORD:-}
if [ -z "$user" ] || [ -z "$pw" ]; then
  line=$(cat /opt/couchdb/etc/local.ini /opt/couchdb/etc/local.d/*.ini 2>/dev/null | sed -n '/^\[admins\]/,/^\[[^a]/p' | sed -n "/^${user:-[A-Za-z0-9_.@-][A-Za-z0-9_.@-]*}[[:space:]]*=/p" | grep -v -e '=[[:space:]]*-pbkdf2' -e '=[[:space:]]*-hashed' | head -n 1)
  if [ -n "$line" ]; then
    user=$(printf %s "${line%%=*}" | sed 's/[[:space:]]*$//')
    [ -n "$pw" ] || pw=$(printf %s "${line#*=}" | sed 's/^[[:space:]]*//; s/[[:space:]]*$//')
  fi
fi
printf '%s\n%s' "$user" "$pw"
)sh";

Result<std::unique_ptr<Inquiry>> server(engine::Engine& engine, const Target& target, const Deadline& deadline) {
  auto login = basic(kDrillUser, kDrillPassword);
  if (!target.facts.contains("stand_in")) {
    DM_TRY(login, basic_login(engine, target.container, kLogin, deadline));
  }
  return std::make_unique<Inquiry>(engine, target.container, kPort, "CouchDB", "Authorization", std::move(login));
}

std::string path(std::string_view database, std::string_view rest = {}) { return fmt::format("/{}{}", engine::escape(database), rest); }

std::string file_name(std::string_view name) {
  std::string out = "db-";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    out += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return out + ".couchdb";
}

std::string_view member(const std::vector<std::pair<std::string, std::string_view>>& members, std::string_view name) {
  for (const auto& [key, value] : members)
    if (key == name) return value;
  return {};
}

/// The server makes it itself, in its own databases.
bool servers_own(std::string_view database, std::string_view id) { return (database == "_users" && id == "_design/_auth") || (database == "_replicator" && id == "_design/_replicator"); }

class Couchdb final : public Driver {
 public:
  std::string_view kind() const override { return kKind; }
  std::string_view title() const override { return "CouchDB"; }

  Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto couch, server(engine, target, deadline));
    const auto soon = deadline.at_most(std::chrono::minutes(1));
    DM_TRY(const auto welcome, couch->ask({.target = "/"}, soon));
    DM_TRY(const auto members, json_members(welcome));
    target.facts["version"] = json_string(member(members, "version"));
    target.identity = json_string(member(members, "uuid"));
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto couch, server(engine, target, deadline));
    DM_TRY(const auto answer, couch->ask({.target = "/_all_dbs"}, deadline.at_most(std::chrono::minutes(1))));
    DM_TRY(const auto names, json_elements(answer));
    std::vector<Item> out;
    for (const auto text : names) {
      const auto name = json_string(text);
      if (name == "_global_changes") continue;  // the server's own list of what changed
      Item item{.name = name, .file = file_name(name)};
      if (name == "_replicator") item.notes.emplace_back("replications begin as soon as they are restored");
      out.push_back(std::move(item));
    }
    return out;
  }

  Result<void> dump(engine::Engine& engine, const Target& target, const Item& item, const Sink& out, std::vector<std::string>& notes, const Deadline& deadline) const override {
    DM_TRY(const auto couch, server(engine, target, deadline));
    RecordWriter writer(out, kKind);
    DM_TRY(const auto about, couch->ask({.target = path(item.name)}, deadline));
    DM_CHECK(writer.write("about", about_record(target, item.name, about)));
    DM_TRY(const auto security, couch->ask({.target = path(item.name, "/_security")}, deadline));
    DM_TRY(const auto rules, json_canonical(security));
    DM_CHECK(writer.write("security", rules));
    if (auto limit = couch->ask({.target = path(item.name, "/_revs_limit")}, deadline)) {
      DM_TRY(const auto number, json_canonical(*limit));
      DM_CHECK(writer.write("limit", number));
    } else if (limit.error().code != Errc::not_found) {
      return fail(std::move(limit).error());
    }
    // Design documents last: what they forbid must not hinder a restore.
    std::uint64_t conflicts = 0;
    for (const bool design : {false, true}) DM_CHECK(documents(*couch, item.name, design, writer, conflicts, deadline));
    if (conflicts > 0) notes.push_back(fmt::format("{} conflicting revisions are part of it", conflicts));
    return writer.finish();
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<CouchdbStream>(); }

  Result<engine::NewContainer> stand_in(const Target& target) const override {
    engine::NewContainer out;
    out.image = target.image_id;
    out.network = "none";
    out.env = {fmt::format("COUCHDB_USER={}", kDrillUser), fmt::format("COUCHDB_PASSWORD={}", kDrillPassword), "NODENAME=couchdb@127.0.0.1"};
    return out;
  }

  Result<void> await(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    auto own = target;
    own.facts["stand_in"] = "yes";
    DM_TRY(const auto couch, server(engine, own, deadline));
    DM_CHECK(await_answer(engine, target.container, *couch, "/_all_dbs", deadline));
    // A node on its own makes these only when it is told.
    for (const std::string_view name : {"_users", "_replicator"})
      if (auto made = couch->ask({.method = "PUT", .target = path(name)}, deadline.at_most(std::chrono::seconds(30))); !made && made.error().code != Errc::conflict) return fail(std::move(made).error());
    return {};
  }

  Result<void> restore(engine::Engine& engine, const Target& target, const Item& item, const Source& in, const RestoreInto& into, const Deadline& deadline) const override {
    const auto name = into.name.empty() ? item.name : into.name;
    DM_TRY(const auto couch, server(engine, target, deadline));
    auto there = couch->ask({.target = path(name)}, deadline);
    if (!there && there.error().code != Errc::not_found) return fail(std::move(there).error());
    if (there && !into.replace) return fail(Errc::conflict, fmt::format("there is a database '{}' already", name));
    if (there) DM_CHECK(couch->ask({.method = "DELETE", .target = path(name)}, deadline));
    auto done = feed(*couch, name, in, deadline);
    if (done) return {};
    auto error = std::move(done).error();
    if (auto dropped = couch->ask({.method = "DELETE", .target = path(name)}, Deadline::in(std::chrono::minutes(1))); !dropped && dropped.error().code != Errc::not_found)
      error.during.push_back(fmt::format("the half restored database '{}' could not be deleted ({})", name, dropped.error().message));
    return fail(std::move(error));
  }

  Result<std::string> check(engine::Engine&, const Target&, const Deadline&) const override { return fail(Errc::unsupported, "CouchDB has no check of its own"); }

  Compare comparison(const Target&, const Target&) const override { return Compare::everything; }

 private:
  static std::string about_record(const Target& target, std::string_view name, std::string_view about) {
    const auto version = target.facts.find("version");
    std::string out = R"({"database":)" + json_of(name) + R"(,"server":)" + json_of(version == target.facts.end() ? "" : version->second);
    if (const auto members = json_members(about)) {
      if (const auto properties = json_members(member(*members, "props")); properties && member(*properties, "partitioned") == "true") out += R"(,"partitioned":true)";
      if (const auto cluster = json_members(member(*members, "cluster"))) {
        for (const std::string_view key : {"q", "n"})
          if (const auto value = member(*cluster, key); !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos) out += fmt::format(R"(,"{}":{})", key, value);
      }
    }
    return out + '}';
  }

  /// Page by page through the names, each page's documents in one answer.
  static Result<void> documents(Inquiry& couch, const std::string& database, bool design, RecordWriter& writer, std::uint64_t& conflicts, const Deadline& deadline) {
    constexpr std::size_t kPage = 99;  // so many names at once CouchDB looks up; above that it reads the whole database
    std::string from = design ? "_design/" : "";
    for (bool first = true;; first = false) {
      auto query = fmt::format("/_all_docs?limit={}", kPage + 1);
      if (!from.empty()) query += "&startkey=" + engine::escape(json_of(from));
      if (design) query += "&endkey=" + engine::escape(json_of("_design0"));
      std::vector<std::string> names;
      JsonArrayReader rows("rows", [&](std::string_view row) -> Result<void> {
        DM_TRY(const auto members, json_members(row));
        const auto id = member(members, "id");
        if (id.empty()) return fail(Errc::corrupt, "a row of the list of documents has no name");
        if (names.size() > kPage) return fail(Errc::corrupt, "CouchDB sent more names than were asked for");
        names.push_back(json_string(id));
        return {};
      });
      DM_CHECK(couch.stream({.target = path(database, query)}, [&](std::string_view piece) { return rows.take(piece); }, deadline));
      DM_CHECK(rows.finish());
      const bool more = names.size() > kPage;
      if (!first && !names.empty() && names.front() == from) names.erase(names.begin());  // the last of the page before
      if (names.empty()) return {};
      from = names.back();
      std::erase_if(names, [&](const std::string& id) { return id.starts_with("_design/") != design || servers_own(database, id); });
      if (!names.empty()) DM_CHECK(page(couch, database, names, writer, conflicts, deadline));
      if (!more) return {};
    }
  }

  static Result<void> page(Inquiry& couch, const std::string& database, const std::vector<std::string>& names, RecordWriter& writer, std::uint64_t& conflicts, const Deadline& deadline) {
    std::string list;
    for (const auto& name : names) list += fmt::format("{}{}", list.empty() ? "" : ",", json_of(name));
    // Every leaf of each: of a conflict too, of which a plain read gives one side only.
    std::string wanted;
    std::size_t count = 0, known = 0;
    JsonArrayReader changes("results", [&](std::string_view change) -> Result<void> {
      DM_TRY(const auto members, json_members(change));
      DM_TRY(const auto leaves, json_elements(member(members, "changes")));
      ++known;
      if (wanted.size() > (64U << 20U)) return fail(Errc::unsupported, "one page of documents has more revisions than can be held");
      for (const auto leaf : leaves) {
        DM_TRY(const auto revision, json_members(leaf));
        wanted += fmt::format(R"({}{{"id":{},"rev":{}}})", wanted.empty() ? "" : ",", member(members, "id"), member(revision, "rev"));
        ++count;
      }
      return {};
    });
    DM_CHECK(couch.stream({.method = "POST", .target = path(database, "/_changes?style=all_docs&filter=_doc_ids"), .body = R"({"doc_ids":[)" + list + "]}"}, [&](std::string_view piece) { return changes.take(piece); }, deadline));
    DM_CHECK(changes.finish());
    // Deleted ones are among the changes: only what was purged meanwhile is not.
    if (known < names.size()) return fail(Errc::failed, fmt::format("CouchDB knows the changes of {} of {} documents", known, names.size()));
    std::size_t answers = 0, alive = 0;
    std::set<std::string> documents;
    JsonArrayReader results("results", [&](std::string_view result) -> Result<void> {
      DM_TRY(const auto members, json_members(result));
      DM_TRY(const auto leaves, json_elements(member(members, "docs")));
      for (const auto leaf : leaves) {
        ++answers;
        DM_TRY(const auto outcome, json_members(leaf));
        const auto document = member(outcome, "ok");
        if (document.empty()) return fail(Errc::failed, fmt::format("CouchDB does not give document {}", member(members, "id").substr(0, 100)));
        DM_TRY(const auto fields, json_members(document));
        if (member(fields, "_deleted") == "true") continue;
        ++alive;
        documents.insert(json_string(member(members, "id")));
        DM_CHECK(writer.write("doc", document));
      }
      return {};
    });
    DM_CHECK(couch.stream({.method = "POST", .target = path(database, "/_bulk_get?revs=true&attachments=true"), .body = R"({"docs":[)" + wanted + "]}"}, [&](std::string_view piece) { return results.take(piece); }, deadline));
    DM_CHECK(results.finish());
    if (answers < count) return fail(Errc::corrupt, fmt::format("CouchDB gave {} of {} revisions", answers, count));
    conflicts += alive - documents.size();
    return {};
  }

  static Result<void> feed(Inquiry& couch, const std::string& name, const Source& in, const Deadline& deadline) {
    constexpr std::size_t kBatch = 4U << 20U, kMost = 1000;
    std::string batch, security, limit;
    std::size_t count = 0;
    const auto send = [&]() -> Result<void> {
      if (batch.empty()) return {};
      DM_TRY(const auto answer, couch.ask({.method = "POST", .target = path(name, "/_bulk_docs"), .body = R"({"new_edits":false,"docs":[)" + std::exchange(batch, {}) + "]}"}, deadline));
      count = 0;
      // With revisions of our own only what it refused is in the answer; some servers list the others too.
      DM_TRY(const auto each, json_elements(answer));
      for (const auto one : each) {
        DM_TRY(const auto members, json_members(one));
        if (const auto error = member(members, "error"); !error.empty() && error != "false")
          return fail(Errc::failed, fmt::format("CouchDB refused document {}: {}", member(members, "id").substr(0, 100), json_string(member(members, "reason")).substr(0, 200)));
      }
      return {};
    };
    const auto record = [&](std::string_view tag, std::string_view bytes) -> Result<void> {
      if (tag == "about") {
        DM_TRY(const auto members, json_members(bytes));
        std::string query;
        for (const std::string_view key : {"q", "n", "partitioned"})
          if (const auto value = member(members, key); !value.empty()) query += fmt::format("{}{}={}", query.empty() ? "?" : "&", key, value);
        auto made = couch.ask({.method = "PUT", .target = path(name, query)}, deadline);
        // Its own databases the server makes again at once.
        if (!made && !(made.error().code == Errc::conflict && name.starts_with('_'))) return fail(std::move(made).error());
      } else if (tag == "security") {
        security = bytes;
      } else if (tag == "limit") {
        limit = bytes;
      } else if (tag == "doc") {
        if (!batch.empty()) batch += ',';
        batch += bytes;
        if (batch.size() >= kBatch || ++count >= kMost) return send();
      }
      return {};
    };
    DM_CHECK(each_record(kKind, in, record));
    DM_CHECK(send());
    // Only where it is another: of its own databases the server lets nobody change it.
    DM_TRY(const auto now, couch.ask({.target = path(name, "/_security")}, deadline));
    DM_TRY(const auto rules, json_canonical(now));
    if (!security.empty() && security != rules) DM_CHECK(couch.ask({.method = "PUT", .target = path(name, "/_security"), .body = security}, deadline));
    if (!limit.empty()) DM_CHECK(couch.ask({.method = "PUT", .target = path(name, "/_revs_limit"), .body = limit}, deadline));
    return {};
  }
};

}  // namespace

const Driver& couchdb_driver() {
  static const Couchdb driver;
  return driver;
}

}  // namespace dm::backup

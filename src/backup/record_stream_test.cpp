/// Dumps in our own form: ClickHouse, CouchDB, Qdrant.
#include <gmock/gmock.h>

#include <fmt/format.h>

#include "backup/clickhouse_stream.hpp"
#include "backup/couchdb_stream.hpp"
#include "backup/inspect.hpp"
#include "backup/json_text.hpp"
#include "backup/qdrant_stream.hpp"

namespace dm::backup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

using Records = std::vector<std::pair<std::string, std::string>>;

std::string written(std::string_view kind, const Records& records) {
  std::string out;
  RecordWriter writer([&](std::string_view bytes) -> Result<void> {
    out += bytes;
    return {};
  }, kind);
  for (const auto& [tag, bytes] : records) EXPECT_TRUE(writer.write(tag, bytes));
  EXPECT_TRUE(writer.finish());
  return out;
}

template <class Reader>
Result<Fingerprint> read(std::string_view text, std::size_t piece = 1 << 20) {
  Reader reader;
  while (!text.empty()) {
    const auto size = std::min(piece, text.size());
    if (auto taken = reader.take(text.substr(0, size)); !taken) return fail(taken.error());
    text.remove_prefix(size);
  }
  return reader.finish();
}

/// Every cut, every flipped bit and everything that is added is seen.
template <class Reader>
void bad_inputs_are_refused(const std::string& whole) {
  ASSERT_TRUE(read<Reader>(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(read<Reader>(std::string_view(whole).substr(0, size))) << size;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    EXPECT_FALSE(read<Reader>(damaged)) << at;
  }
  EXPECT_FALSE(read<Reader>(whole + "\n"));
  EXPECT_FALSE(read<Reader>(whole + whole));
  for (const std::size_t piece : {1U, 2U, 7U, 64U}) EXPECT_EQ(*read<Reader>(whole, piece), *read<Reader>(whole)) << piece;
}

const Records kCouch{
    {"about", R"({"database":"shop","server":"3.5.2","q":2})"},
    {"security", R"({"admins":{"names":["ann"]}})"},
    {"doc", R"({"_id":"a","_rev":"1-x","_revisions":{"start":1,"ids":["x"]},"n":12345678901234567890123,"f":1.0})"},
    {"doc", R"({"_id":"b","_rev":"2-y","_attachments":{"f":{"content_type":"text/plain","revpos":2,"digest":"md5-1","data":"aGVsbG8="}}})"},
    {"doc", R"({"_id":"_design/d","_rev":"1-z","views":{}})"},
};

Records changed(Records records, std::size_t at, std::string_view what, std::string_view by) {
  auto& text = records[at].second;
  const auto found = text.find(what);
  EXPECT_NE(found, std::string::npos) << what;
  if (found != std::string::npos) text.replace(found, what.size(), by);
  return records;
}

TEST(Couchdb, counts_documents_and_attachments) {
  const auto print = read<CouchdbStream>(written("couchdb", kCouch));
  ASSERT_TRUE(print) << print.error().message;
  EXPECT_EQ(print->producer, "CouchDB 3.5.2");
  EXPECT_EQ(print->part("documents")->rows, 2U);
  EXPECT_EQ(print->part("attachments")->rows, 1U);
  EXPECT_EQ(print->statements, 2U);  // who may, and the design document
}

TEST(Couchdb, bad_inputs_are_refused) { bad_inputs_are_refused<CouchdbStream>(written("couchdb", kCouch)); }

TEST(Couchdb, what_a_restore_may_change_does_not_matter) {
  const auto then = *read<CouchdbStream>(written("couchdb", kCouch));
  auto other = changed(kCouch, 3, "md5-1", "md5-2");               // the same content, stored in another form
  other = changed(other, 2, R"("start":1,"ids":["x"])", R"("start":1,"ids":[])");  // forgotten history
  other = changed(other, 2, R"("n":12345678901234567890123,"f":1.0)", R"("f":1.0, "n":12345678901234567890123)");
  std::swap(other[2], other[3]);
  EXPECT_THAT(differences(then, *read<CouchdbStream>(written("couchdb", other)), Compare::everything), ElementsAre());
}

TEST(Couchdb, one_changed_value_is_a_difference) {
  const auto then = *read<CouchdbStream>(written("couchdb", kCouch));
  const auto differs = [&](const Records& records) { return differences(then, *read<CouchdbStream>(written("couchdb", records)), Compare::everything); };
  EXPECT_THAT(differs(changed(kCouch, 2, "0123,", "0124,")), ElementsAre(HasSubstr("documents")));
  EXPECT_THAT(differs(changed(kCouch, 2, "1-x", "1-y")), ElementsAre(HasSubstr("documents")));
  EXPECT_THAT(differs(changed(kCouch, 3, "aGVsbG8=", "aGVsbG9=")), ElementsAre(HasSubstr("attachments"), HasSubstr("documents")));
  EXPECT_THAT(differs(changed(kCouch, 1, "ann", "bob")), ElementsAre(HasSubstr("schema")));
  EXPECT_THAT(differs(changed(kCouch, 4, "{}", R"({"v":1})")), ElementsAre(HasSubstr("schema")));
}

TEST(Couchdb, an_attachment_without_its_content_is_refused) {
  const auto print = read<CouchdbStream>(written("couchdb", changed(kCouch, 3, R"("data":"aGVsbG8=")", R"("stub":true)")));
  ASSERT_FALSE(print);
  EXPECT_THAT(print.error().message, HasSubstr("attachment of 'b' is missing"));
}

std::string row(std::string_view plain, std::string_view states = {}) { return fmt::format("{:08x}{:08x}{}{}", plain.size() + states.size(), plain.size(), plain, states); }

const Records kHouse{
    {"about", R"({"database":"shop","server":"25.8.1"})"},
    {"database", R"(["Atomic",""])"},
    {"table", R"({"name":"t","database":"shop","create":"CREATE TABLE shop.t (`a` String) ENGINE = Log","columns":"`a`"})"},
    {"rows", row(std::string("\3a\n\0", 4)) + row("\1b")},
    {"rows", row("\1c", "state")},
    {"done", "3"},
    {"table", R"({"name":"v","database":"shop","create":"CREATE VIEW shop.v AS SELECT 1"})"},
};

TEST(Clickhouse, counts_rows_by_table) {
  const auto print = read<ClickhouseStream>(written("clickhouse", kHouse));
  ASSERT_TRUE(print) << print.error().message;
  EXPECT_EQ(print->parts.size(), 1U);
  EXPECT_EQ(print->part("t")->rows, 3U);
  EXPECT_EQ(print->statements, 2U);
}

TEST(Clickhouse, bad_inputs_are_refused) { bad_inputs_are_refused<ClickhouseStream>(written("clickhouse", kHouse)); }

TEST(Clickhouse, order_and_states_do_not_matter_and_a_value_does) {
  const auto then = *read<ClickhouseStream>(written("clickhouse", kHouse));
  auto other = changed(kHouse, 4, "state", "other");
  std::swap(other[3], other[4]);
  EXPECT_THAT(differences(then, *read<ClickhouseStream>(written("clickhouse", other)), Compare::everything), ElementsAre());
  EXPECT_THAT(differences(then, *read<ClickhouseStream>(written("clickhouse", changed(kHouse, 3, "\1b", "\1x"))), Compare::everything), ElementsAre(HasSubstr("t: 3 rows, but")));
}

TEST(Clickhouse, a_table_without_its_end_or_with_another_count_is_refused) {
  EXPECT_FALSE(read<ClickhouseStream>(written("clickhouse", changed(kHouse, 5, "3", "2"))));
  auto open = kHouse;
  open.erase(open.begin() + 5, open.end());
  EXPECT_FALSE(read<ClickhouseStream>(written("clickhouse", open)));
  EXPECT_FALSE(read<ClickhouseStream>(written("clickhouse", {kHouse[0], kHouse[3]})));
  EXPECT_FALSE(read<ClickhouseStream>(written("clickhouse", changed(kHouse, 3, "00000004", "000000ff"))));
}

TEST(Clickhouse, a_statement_is_the_same_in_another_database_and_without_a_keeper) {
  EXPECT_EQ(clickhouse_plain("CREATE TABLE shop.t (`a` UInt8) ENGINE = Log", "shop"), "CREATE TABLE t (`a` UInt8) ENGINE = Log");
  EXPECT_EQ(clickhouse_plain("CREATE MATERIALIZED VIEW `my db`.v TO shop.t AS SELECT 1", "my db"), "CREATE MATERIALIZED VIEW v TO shop.t AS SELECT 1");
  EXPECT_EQ(clickhouse_plain("CREATE TABLE shop.t (`a` UInt8) ENGINE = ReplicatedMergeTree('/tables/{shard}/t', '{replica}') ORDER BY a", "shop"), "CREATE TABLE t (`a` UInt8) ENGINE = MergeTree ORDER BY a");
  EXPECT_EQ(clickhouse_plain("CREATE TABLE t (`a` UInt8) ENGINE = ReplicatedReplacingMergeTree('/x', 'r\\'1', a) ORDER BY a", "shop"), "CREATE TABLE t (`a` UInt8) ENGINE = ReplacingMergeTree(a) ORDER BY a");
  EXPECT_EQ(clickhouse_plain("CREATE TABLE t (`a` UInt8) ENGINE = ReplicatedMergeTree ORDER BY a", "shop"), "CREATE TABLE t (`a` UInt8) ENGINE = MergeTree ORDER BY a");
  EXPECT_EQ(clickhouse_plain("CREATE TABLE t (`a` UInt8) ENGINE = ReplicatedMergeTree('/x", "shop").substr(0, 20), "CREATE TABLE t (`a` ");
}

const Records kQdrant{
    {"about", R"({"collection":"notes","server":"1.19.1"})"},
    {"config", R"({"vectors":{"size":2,"distance":"Dot"}})"},
    {"index", R"({"field_name":"city","field_schema":"keyword"})"},
    {"point", R"({"id":1,"payload":{"a":1,"b":[1.50]},"vector":[0.1,0.2]})"},
    {"point", R"({"id":"5c56c793-69f3-4fbf-87e6-c4bf54c28c26","payload":null,"vector":{"w":{"indices":[1],"values":[0.5]}}})"},
};

TEST(Qdrant, counts_points_and_notices_a_changed_one) {
  const auto then = read<QdrantStream>(written("qdrant", kQdrant));
  ASSERT_TRUE(then) << then.error().message;
  EXPECT_EQ(then->part("points")->rows, 2U);
  auto other = changed(kQdrant, 3, R"("a":1,"b":[1.50])", R"("b":[1.50],"a":1)");
  std::swap(other[3], other[4]);
  EXPECT_THAT(differences(*then, *read<QdrantStream>(written("qdrant", other)), Compare::everything), ElementsAre());
  EXPECT_THAT(differences(*then, *read<QdrantStream>(written("qdrant", changed(kQdrant, 3, "0.2", "0.20000002"))), Compare::everything), ElementsAre(HasSubstr("points")));
  EXPECT_THAT(differences(*then, *read<QdrantStream>(written("qdrant", changed(kQdrant, 1, "Dot", "Cosine"))), Compare::everything), ElementsAre(HasSubstr("schema")));
}

TEST(Qdrant, bad_inputs_are_refused) { bad_inputs_are_refused<QdrantStream>(written("qdrant", kQdrant)); }

TEST(Records, one_of_another_kind_is_refused_and_inspect_knows_them) {
  EXPECT_FALSE(read<QdrantStream>(written("couchdb", kCouch)));
  for (const auto& [text, kind] : {std::pair{written("couchdb", kCouch), "CouchDB"}, {written("clickhouse", kHouse), "ClickHouse"}, {written("qdrant", kQdrant), "Qdrant"}}) {
    bool given = false;
    const auto seen = inspect([&, &whole = text]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : whole; });
    ASSERT_TRUE(seen);
    EXPECT_THAT(seen->kind, HasSubstr(kind));
    EXPECT_EQ(seen->outcome, Outcome::verified) << seen->detail;
  }
}

TEST(Records, hostile_lengths_are_refused) {
  for (const std::string_view text : {"doc 99999999999999999999\n", "doc 268435456\n", "doc -1\n", "doc\n", "DOC 1\nx\n", " 1\nx\n", "end x y\n", "end 0 \n", "end 0\n"})
    EXPECT_FALSE(read<CouchdbStream>(fmt::format("datamancy-dump 1 couchdb\n{}", text))) << text;
  EXPECT_FALSE(read<CouchdbStream>(std::string(1 << 20, 'x')));
}

std::vector<std::string> elements(std::string_view text, std::size_t piece, bool& whole) {
  std::vector<std::string> out;
  JsonArrayReader reader("rows", [&](std::string_view element) -> Result<void> {
    out.emplace_back(element);
    return {};
  });
  bool fine = true;
  for (; !text.empty() && fine; text.remove_prefix(std::min(piece, text.size()))) fine = reader.take(text.substr(0, piece)).has_value();
  whole = fine && reader.finish().has_value();
  return out;
}

TEST(JsonText, gives_the_elements_of_an_answer_one_by_one) {
  const std::string text = R"({"total":2,"other":["rows",{"rows":[9]}],"rows":[ {"a":"]}\"\\","b":[1,{"c":2}]} , "x,]" , 12345678901234567890123 ,[],{}], "end":{}})";
  for (const std::size_t piece : {1U, 3U, 1000U}) {
    bool whole = false;
    EXPECT_THAT(elements(text, piece, whole), ElementsAre(R"({"a":"]}\"\\","b":[1,{"c":2}]})", R"("x,]")", "12345678901234567890123", "[]", "{}")) << piece;
    EXPECT_TRUE(whole);
  }
  for (const std::string_view bad : {"", "[]", "{\"rows\":[1", "{\"rows\":[1]", "{\"other\":[1]}", "{\"rows\":[1]}x", "}", "1"}) {
    bool whole = true;
    elements(bad, 1000, whole);
    EXPECT_FALSE(whole) << bad;
  }
  bool whole = true;
  elements(R"({"rows":)" + std::string(5000, '['), 1000, whole);
  EXPECT_FALSE(whole);
}

TEST(JsonText, takes_objects_apart_without_touching_values) {
  const auto members = json_members(R"( {"a":1.50, "b\n" : {"c":[1,2]},"d":"x,y}"} )");
  ASSERT_TRUE(members);
  EXPECT_THAT(*members, ElementsAre(Pair("a", "1.50"), Pair("b\n", R"({"c":[1,2]})"), Pair("d", R"("x,y}")")));
  for (const std::string_view bad : {"", "{", "[]", R"({"a"})", R"({"a":})", R"({a:1})", R"({"a":1,})", R"({"a":1 "b":2})", R"({"a":"x})"}) EXPECT_FALSE(json_members(bad)) << bad;
  EXPECT_EQ(*json_canonical(R"( {"b" : 12345678901234567890123, "a":["\u00e4\/",1.0]} )"), R"({"a":["ä/",1.0],"b":12345678901234567890123})");
  EXPECT_FALSE(json_canonical("{\"a\":"));
  EXPECT_FALSE(json_canonical(std::string(100000, '[')));
}

}  // namespace
}  // namespace dm::backup

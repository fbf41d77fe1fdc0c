/// The readers of MariaDB's, Valkey's and OpenLDAP's dumps, of trees, and what judges a file of unknown origin.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "backup/inspect.hpp"
#include "backup/ldif_stream.hpp"
#include "backup/mysqldump_stream.hpp"
#include "backup/rdb_stream.hpp"
#include "backup/repository.hpp"
#include "backup/settings.hpp"
#include "backup/tree.hpp"
#include "base/utf8.hpp"

namespace dm::backup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

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

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

const std::string kMaria = R"sql(/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.20-11.8.9-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version	11.8.9-MariaDB

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;

USE `shop`;
DROP TABLE IF EXISTS `odd ``t(`;
CREATE TABLE `odd ``t(` (
  `a` int(11) DEFAULT NULL COMMENT 'a; b'
) ENGINE=InnoDB;
LOCK TABLES `odd ``t(` WRITE;
/*!40000 ALTER TABLE `odd ``t(` DISABLE KEYS */;
INSERT INTO `odd ``t(` VALUES
(1,'a''b\\c"; -- x',0x00FF27),
(NULL,NULL,NULL),
(3,'(1,2),(3)\'',point(1,2));
INSERT INTO `odd ``t(` VALUES (4,'',0x);
/*!40000 ALTER TABLE `odd ``t(` ENABLE KEYS */;
UNLOCK TABLES;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 trigger t before insert on orders for each row begin
 -- a ' comment; with ;; in it
 set new.note = 'x;;y'; end */;;
DELIMITER ;
-- Dump completed
)sql";

TEST(MysqlDumpStream, counts_the_tuples_of_each_table) {
  const auto print = read<MysqlDumpStream>(kMaria);
  ASSERT_TRUE(print) << print.error().describe();
  ASSERT_EQ(print->parts.size(), 1U);
  EXPECT_EQ(print->parts[0].name, "odd `t(");
  EXPECT_EQ(print->parts[0].rows, 4U);
  EXPECT_EQ(print->statements, 2U);  // the table, the trigger
  EXPECT_EQ(print->producer, "11.8.9-MariaDB");
}

TEST(MysqlDumpStream, gives_the_same_for_any_cut_into_pieces_and_takes_no_dump_that_is_cut) {
  const auto whole = read<MysqlDumpStream>(kMaria);
  ASSERT_TRUE(whole);
  for (std::size_t piece = 1; piece < 100; ++piece) EXPECT_EQ(*read<MysqlDumpStream>(kMaria, piece), *whole) << piece;
  const auto end = kMaria.find("Dump completed") + 14;
  for (std::size_t size = 0; size < end; ++size) EXPECT_FALSE(read<MysqlDumpStream>(std::string_view(kMaria).substr(0, size))) << size;
}

TEST(MysqlDumpStream, minds_values_but_neither_their_order_nor_how_they_are_grouped) {
  const auto then = *read<MysqlDumpStream>(kMaria);
  auto other = replaced(kMaria, "(NULL,NULL,NULL),\n", "");
  other = replaced(other, "(4,'',0x);", "(4,'',0x),(NULL,NULL,NULL);");
  EXPECT_THAT(differences(then, *read<MysqlDumpStream>(other), Compare::everything), ElementsAre());
  EXPECT_THAT(differences(then, *read<MysqlDumpStream>(replaced(kMaria, "0x00FF27", "0x00FF28")), Compare::data), ElementsAre(HasSubstr("content differs")));
  EXPECT_THAT(differences(then, *read<MysqlDumpStream>(replaced(kMaria, "'x;;y'", "'x;;z'")), Compare::everything), ElementsAre(HasSubstr("schema")));
  EXPECT_THAT(differences(then, *read<MysqlDumpStream>(replaced(kMaria, "USE `shop`", "USE `shop2`")), Compare::renamed), ElementsAre());
}

std::string rdb(const std::string& body) {
  std::string out = "REDIS0011" + body + "\xff";
  auto crc = rdb_crc64(0, out);
  for (int i = 0; i < 8; ++i, crc >>= 8U) out += static_cast<char>(crc & 0xFFU);
  return out;
}
std::string text(std::string_view value) { return std::string(1, static_cast<char>(value.size())) + std::string(value); }

TEST(RdbStream, knows_the_published_check_value_of_its_checksum) { EXPECT_EQ(rdb_crc64(0, "123456789"), 0xe9c6d914c4b8d9caULL); }

TEST(RdbStream, finds_a_hash_equal_in_every_encoding_and_order) {
  using namespace std::string_literals;
  const auto plain = rdb("\xfe"s + '\0' + '\x04' + text("h") + '\x02' + text("a") + text("1") + text("b") + text("2"));
  const auto other = rdb("\xfe"s + '\0' + '\x04' + text("h") + '\x02' + text("b") + text("2") + text("a") + text("1"));
  // A listpack: size, count, then a, 1, b, 2, each with its length behind it.
  std::string pack = "\x81"s + "a" + '\x02' + '\x01' + '\x01' + '\x81' + "b" + '\x02' + '\x02' + '\x01';
  std::string list = std::string(1, static_cast<char>(pack.size() + 7)) + "\0\0\0"s + '\x04' + '\0' + pack + '\xff';
  const auto packed = rdb("\xfe"s + '\0' + '\x10' + text("h") + text(list));
  const auto print = read<RdbStream>(plain);
  ASSERT_TRUE(print) << print.error().describe();
  EXPECT_EQ(read<RdbStream>(other)->parts, print->parts);
  const auto from_pack = read<RdbStream>(packed);
  ASSERT_TRUE(from_pack) << from_pack.error().describe();
  EXPECT_EQ(from_pack->parts[0].sum, print->parts[0].sum);
  for (std::size_t piece = 1; piece < 40; ++piece) EXPECT_EQ(read<RdbStream>(plain, piece)->parts, print->parts) << piece;
}

TEST(RdbStream, notices_any_cut_and_any_flipped_bit) {
  using namespace std::string_literals;
  const auto whole = rdb("\xfa"s + text("redis-ver") + text("8.1.1") + "\xfe"s + '\0' + '\0' + text("key") + text("value") + '\xfc' + std::string(8, '\x01') + '\0' + text("e") + "\xc0\x7f"s);
  ASSERT_TRUE(read<RdbStream>(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(read<RdbStream>(std::string_view(whole).substr(0, size))) << size;
  for (std::size_t at = 9; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      EXPECT_FALSE(read<RdbStream>(damaged)) << at << ' ' << bit;
    }
}

TEST(Fingerprint, keeps_names_that_are_no_text) {
  // A folder from a machine with another character set, one that looks like a longer zero, half a pair of UTF-16.
  for (const std::string name : {"caf\xE9", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "a\xFF"}) {
    Parts parts;
    parts[name].rows = 1;
    parts["caf\xC3\xA9"].rows = 2;
    Fingerprint print;
    print.format = "tree";
    print.parts = parts.take();
    const auto again = Fingerprint::parse(print.json());
    ASSERT_TRUE(again) << name;
    EXPECT_EQ(*again, print) << name;
    EXPECT_THAT(differences(print, *again, Compare::everything), ElementsAre());
  }
  EXPECT_EQ(printable("caf\xE9 \xC3\xA9"), "caf\\xE9 \xC3\xA9");
}

TEST(MysqlDumpStream, takes_any_beginning_of_a_line_for_what_it_is) {
  const std::string word = "DELIMITER ";
  for (std::size_t size = 1; size <= word.size(); ++size)
    for (const std::size_t piece : {1U, 3U, 100U}) EXPECT_FALSE(read<MysqlDumpStream>(word.substr(0, size) + "\n", piece)) << size;
}

TEST(LdifStream, minds_neither_wrapping_nor_order) {
  const auto one = read<LdifStream>("dn: dc=x\ncn: a very long\n  name\nuserPassword:: e1NTSEF9\n\ndn: uid=a,dc=x\nuid: a\n\n");
  const auto two = read<LdifStream>("dn: uid=a,dc=x\nuid: a\n\n# note\ndn: dc=x\nuserPassword:: e1NTSEF9\ncn: a very long name\n\n", 3);
  ASSERT_TRUE(one) << one.error().describe();
  ASSERT_TRUE(two);
  EXPECT_EQ(*one, *two);
  EXPECT_EQ(one->rows(), 2U);
  EXPECT_FALSE(read<LdifStream>("dn: dc=x\ncn: a\n"));
  EXPECT_FALSE(read<LdifStream>("hello\n\n"));
}

TEST(LdifStream, only_our_end_mark_makes_it_whole) {
  const auto judge = [](std::string text) {
    bool given = false;
    return inspect([&]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : text; })->outcome;
  };
  const std::string dump = "dn: dc=x\ncn: a\n\ndn: uid=a,dc=x\nuid: a\n\n" + std::string(kLdifEnd) + "\n";
  EXPECT_EQ(judge(dump), Outcome::verified);
  for (std::size_t size = 0; size + 1 < dump.size(); ++size) EXPECT_NE(judge(dump.substr(0, size)), Outcome::verified) << size;
  EXPECT_EQ(judge(dump.substr(0, dump.find('#'))), Outcome::could_not_verify);
  EXPECT_NE(judge(dump + "dn: uid=b,dc=x\nuid: b\n\n"), Outcome::verified) << "something was put behind it";
}

TEST(Tree, comes_back_equal_with_links_holes_attributes_and_times) {
  namespace fs = std::filesystem;
  std::string base = testing::TempDir() + "tree-XXXXXX";
  ASSERT_NE(::mkdtemp(base.data()), nullptr);
  const fs::path from = base + "/from", to = base + "/to";
  fs::create_directories(from / "a/b");
  fs::create_directory(to);
  const std::string long_name(150, 'n');
  std::ofstream(from / "a/b" / long_name) << "x";
  std::ofstream(from / "a/file") << std::string(100000, 'y');
  fs::create_hard_link(from / "a/file", from / "hard");
  fs::create_symlink("a/file", from / "soft");
  std::ofstream(from / "sparse").close();
  fs::resize_file(from / "sparse", 5'000'000);
  fs::permissions(from / "a/file", fs::perms(0640));
  fs::permissions(from / "a/b", fs::perms(0500));
  const auto print_of = [](const fs::path& folder, std::string* bytes) {
    auto reader = make_tree_reader();
    TreeNotes notes;
    auto packed = pack_tree(folder, {}, [&](std::string_view piece) {
      if (bytes != nullptr) bytes->append(piece);
      return reader->take(piece);
    }, notes, {});
    return packed ? reader->finish() : Result<Fingerprint>(fail(packed.error()));
  };
  std::string tar;
  const auto then = print_of(from, &tar);
  ASSERT_TRUE(then) << then.error().describe();
  TreeUnpacker unpacker(to, "");
  for (std::size_t at = 0; at < tar.size(); at += 1000) ASSERT_TRUE(unpacker.take(std::string_view(tar).substr(at, 1000)));
  const auto finished = unpacker.finish();
  ASSERT_TRUE(finished) << finished.error().describe();
  const auto now = print_of(to, nullptr);
  ASSERT_TRUE(now);
  EXPECT_THAT(differences(*then, *now, Compare::everything), ElementsAre());
  EXPECT_EQ(fs::hard_link_count(to / "hard"), 2U);
  for (const auto name : {kUnpacked, kBefore}) {  // what a restore in place leaves is not the tree's
    fs::create_directory(from / name);
    std::ofstream(from / name / "old") << "z";
  }
  EXPECT_THAT(differences(*then, *print_of(from, nullptr), Compare::everything), ElementsAre());
  fs::permissions(from / "a/file", fs::perms(0644));
  EXPECT_THAT(differences(*then, *print_of(from, nullptr), Compare::everything), testing::Not(ElementsAre()));
  auto cut = make_tree_reader();
  ASSERT_TRUE(cut->take(std::string_view(tar).substr(0, tar.size() - 1024)));
  EXPECT_FALSE(cut->finish());
  fs::permissions(from / "a/b", fs::perms(0700));
  fs::permissions(to / "a/b", fs::perms(0700));
  fs::remove_all(base);
}

TEST(Inspect, recognises_a_custom_dump_that_was_decoded_as_text) {
  using namespace std::string_literals;
  const auto once = [](std::string text) {
    return [text, given = false]() mutable -> Result<std::string> { return std::exchange(given, true) ? std::string() : text; };
  };
  const auto good = "PGDMP\x01\x10\x00\x04\x08\x01"s + std::string(200, '\0');
  EXPECT_EQ(inspect(once(good))->outcome, Outcome::could_not_verify);
  const auto bad = inspect(once("PGDMP\x01\x10\x00\x04\x08\x01"s + "\xEF\xBF\xBD\xEF\xBF\xBDx\xEF\xBF\xBD\xEF\xBF\xBD"));
  EXPECT_EQ(bad->outcome, Outcome::failed);
  EXPECT_THAT(bad->detail, HasSubstr("decoded as text"));
  EXPECT_EQ(inspect(once(""))->outcome, Outcome::failed);
  EXPECT_THAT(inspect(once("OCI runtime exec failed: exec failed"))->detail, HasSubstr("no dump"));
  EXPECT_EQ(inspect(once(kMaria))->outcome, Outcome::verified);
  EXPECT_THAT(inspect(once(kMaria.substr(0, 900)))->outcome, Outcome::failed);
}

TEST(Retention, keeps_the_newest_of_each_period) {
  std::vector<Snapshot> all;
  for (int hour = 0; hour < 24 * 400; hour += 6) all.push_back({.id = std::to_string(hour), .time = 1'700'000'000 + hour * 3600, .host = {}, .path = {}, .tags = {}, .bytes = 0});
  const auto gone = to_forget(all, {.latest = 3, .hourly = 0, .daily = 7, .weekly = 4, .monthly = 6, .annual = 2});
  const auto kept = all.size() - gone.size();
  EXPECT_GE(kept, 14U);
  EXPECT_LE(kept, 22U);
  EXPECT_EQ(std::count(gone.begin(), gone.end(), all.back().id), 0);
  EXPECT_THAT(to_forget({all.front()}, {.latest = 0, .hourly = 0, .daily = 0, .weekly = 0, .monthly = 0, .annual = 0}), ElementsAre());
}

TEST(Versions, are_numbers) {
  EXPECT_TRUE(version_at_least("0.19.1", "0.17.1"));
  EXPECT_TRUE(version_at_least("v0.17.1-dev", "0.17.1"));
  EXPECT_FALSE(version_at_least("0.14.0", "0.17.1"));
  EXPECT_FALSE(version_at_least("0.9.9", "0.17.1"));
}

TEST(Settings, are_read_and_mistakes_named) {
  const auto good = parse_settings("backup:\n  repositories:\n    local: {url: /srv/b, password_file: key}\n    far: {kind: restic, url: 's3:https://x/y', copy_of: local, append_only: true, password_command: [pass, show, b]}\n"
                                   "  keep: {daily: 5}\n  exclude: ['cache # rebuilt at start']\n  objective: 12h\n");
  ASSERT_TRUE(good) << good.error().describe();
  EXPECT_EQ(good->primary()->location.url, "/srv/b");
  EXPECT_TRUE(good->find("far")->append_only);
  EXPECT_EQ(good->keep.daily, 5U);
  EXPECT_EQ(good->objective, 12 * 3600);
  for (const char* bad : {"backup: {repositories: {a: {url: x, colour: red}}}", "backup: {repositories: {a: {kind: restic}}}", "backup: {keep: {daily: many}}", "backup: {objective: soon}", "backup: {volumes: 1m}",
                          "backup: {repositories: {a: {url: x, copy_of: b}}}", "backup: {colour: red}"})
    EXPECT_FALSE(parse_settings(bad)) << bad;
  EXPECT_TRUE(parse_settings("")->by_default);
}

}  // namespace
}  // namespace dm::backup

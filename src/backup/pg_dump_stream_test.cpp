#include "backup/pg_dump_stream.hpp"

#include <gmock/gmock.h>

#include <random>

namespace dm::backup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kDump = R"sql(--
-- PostgreSQL database dump
--

\restrict 1fK0sXc

-- Dumped from database version 17.11 (Debian 17.11-1)
-- Dumped by pg_dump version 17.11 (Debian 17.11-1)

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8';


ALTER DATABASE shop OWNER TO shop;

\unrestrict 1fK0sXc
\connect shop
\restrict 1fK0sXc

ALTER DATABASE shop SET "TimeZone" TO 'Europe/Berlin';
--
-- Name: f(); Type: FUNCTION
--
CREATE FUNCTION public.f() RETURNS text
    LANGUAGE plpgsql
    AS $_$
begin
  -- a comment with ' a quote; and
  return 'COPY public.x (a) FROM stdin;
' || $1 || $q$;$q$ || E'\';' || 'it''s'; /* ; */
end $_$;

CREATE TABLE public.orders (
    id integer DEFAULT 1 - 2 NOT NULL,
    note text DEFAULT E'a\'b;'::text
);
CREATE TABLE public."Odd "" Name" (a text);

COPY public.orders (id, note) FROM stdin;
1	first
2	\\.
3	second;\N
4	\N
\.


COPY public."Odd "" Name" (a) FROM stdin;

x
\.

SELECT pg_catalog.lo_create('77');
BEGIN;

SELECT pg_catalog.lo_open('77', 131072);
SELECT pg_catalog.lowrite(0, '\x00ff3b27');
SELECT pg_catalog.lo_close(0);

COMMIT;

SELECT pg_catalog.setval('public.orders_id_seq', 4, true);

ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

--
-- PostgreSQL database dump complete
--

\unrestrict 1fK0sXc

)sql";

Result<Fingerprint> read(std::string_view dump, std::size_t piece = 1 << 20) {
  PgDumpStream reader;
  while (!dump.empty()) {
    const auto size = std::min(piece, dump.size());
    if (auto taken = reader.take(dump.substr(0, size)); !taken) return fail(taken.error());
    dump.remove_prefix(size);
  }
  return reader.finish();
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

TEST(PgDumpStream, counts_rows_by_table_and_knows_large_objects_and_sequences) {
  const auto print = read(kDump);
  ASSERT_TRUE(print) << print.error().describe();
  std::vector<std::string> seen;
  for (const auto& part : print->parts) seen.push_back(part.name + " " + std::to_string(part.rows));
  EXPECT_THAT(seen, ElementsAre("large objects 1", "public.\"Odd \"\" Name\" 2", "public.orders 4", "sequences 1"));
  EXPECT_EQ(print->producer, "PostgreSQL 17.11, pg_dump 17.11");
  // The function, two tables, two lists of columns, lo_create, the constraint.
  EXPECT_EQ(print->statements, 7U);
}

TEST(PgDumpStream, gives_the_same_for_any_cut_into_pieces) {
  const auto whole = read(kDump);
  ASSERT_TRUE(whole);
  for (std::size_t piece = 1; piece < 130; ++piece) EXPECT_EQ(*read(kDump, piece), *whole) << piece;
}

TEST(PgDumpStream, takes_no_dump_that_is_cut_anywhere) {
  const auto end = kDump.rfind("1fK0sXc") + 7;  // behind it are two ends of lines
  for (std::size_t size = 0; size < end; ++size) EXPECT_FALSE(read(std::string_view(kDump).substr(0, size))) << size;
  EXPECT_TRUE(read(std::string_view(kDump).substr(0, end)));
  EXPECT_THAT(read(kDump.substr(0, kDump.find("3\tsecond"))).error().message, HasSubstr("inside the rows of public.orders"));
  EXPECT_THAT(read(kDump.substr(0, end - 1)).error().message, HasSubstr("unrestrict"));
}

TEST(PgDumpStream, does_not_mind_the_order_of_rows_comments_and_tokens) {
  auto other = replaced(kDump, "1\tfirst\n2\t\\\\.\n", "2\t\\\\.\n1\tfirst\n");
  other = replaced(other, "\\restrict 1fK0sXc\n\n-- Dumped", "\\restrict other\n-- A note\n-- Dumped");
  other = replaced(other, "\\unrestrict 1fK0sXc", "\\unrestrict other");
  EXPECT_THAT(differences(*read(kDump), *read(other), Compare::everything), ElementsAre());
}

TEST(PgDumpStream, notices_one_changed_value_a_doubled_row_and_changed_schema) {
  const auto then = *read(kDump);
  EXPECT_THAT(differences(then, *read(replaced(kDump, "\tfirst", "\tFirst")), Compare::data), ElementsAre(HasSubstr("public.orders: 4 rows, but their content differs")));
  EXPECT_THAT(differences(then, *read(replaced(kDump, "4\t\\N\n", "")), Compare::data), ElementsAre(HasSubstr("public.orders: 4 rows then, 3 now")));
  EXPECT_THAT(differences(then, *read(replaced(kDump, "00ff3b27", "00ff3b28")), Compare::data), ElementsAre(HasSubstr("large objects")));
  EXPECT_THAT(differences(then, *read(replaced(kDump, "_seq', 4", "_seq', 5")), Compare::data), ElementsAre(HasSubstr("sequences")));
  EXPECT_THAT(differences(then, *read(replaced(kDump, "return 'COPY", "return  'COPY")), Compare::everything), ElementsAre(HasSubstr("schema")));
  EXPECT_THAT(differences(then, *read(replaced(kDump, "Europe/Berlin", "Asia/Tokyo")), Compare::everything), ElementsAre(HasSubstr("settings")));
  EXPECT_THAT(differences(then, *read(replaced(kDump, "Europe/Berlin", "Asia/Tokyo")), Compare::renamed), ElementsAre());
}

TEST(PgDumpStream, knows_that_two_equal_rows_are_not_none) {
  const auto twice = replaced(kDump, "1\tfirst\n", "1\tfirst\n1\tfirst\n1\tfirst\n");
  EXPECT_NE(read(kDump)->part("public.orders")->sum, read(twice)->part("public.orders")->sum);
}

TEST(PgDumpStream, has_a_fingerprint_that_survives_writing_and_reading) {
  const auto then = *read(kDump);
  const auto again = Fingerprint::parse(then.json());
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, then);
  EXPECT_FALSE(Fingerprint::parse("{}"));
}

TEST(PgDumpStream, refuses_what_is_no_dump) {
  EXPECT_FALSE(read(""));
  EXPECT_FALSE(read("PGDMP\x01\x0f"));
  EXPECT_FALSE(read("OCI runtime exec failed: exec failed: unable to start container process: exec: \"pg_dump\": executable file not found in $PATH\n"));
}

TEST(PgRename, sends_a_dump_to_another_database_and_touches_no_data) {
  for (const std::size_t piece : {1U, 7U, 1000000U}) {
    PgRename rename("shop", "shop copy");
    std::string out;
    for (std::size_t at = 0; at < kDump.size(); at += piece) out += rename.pass(std::string_view(kDump).substr(at, piece));
    out += rename.pass({}, true);
    auto want = kDump;
    want = replaced(want, "CREATE DATABASE shop", "CREATE DATABASE \"shop copy\"");
    want = replaced(want, "ALTER DATABASE shop OWNER", "ALTER DATABASE \"shop copy\" OWNER");
    want = replaced(want, "\\connect shop\n", "\\connect \"shop copy\"\n");
    want = replaced(want, "ALTER DATABASE shop SET", "ALTER DATABASE \"shop copy\" SET");
    EXPECT_EQ(out, want);
  }
}

TEST(PgIdentifier, quotes_what_must_be_quoted) {
  EXPECT_EQ(pg_identifier("shop_1"), "shop_1");
  EXPECT_EQ(pg_identifier("Shop"), "\"Shop\"");
  EXPECT_EQ(pg_identifier("a\"b"), "\"a\"\"b\"");
}

}  // namespace
}  // namespace dm::backup

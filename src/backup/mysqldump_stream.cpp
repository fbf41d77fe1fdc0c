#include "backup/mysqldump_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backup/drivers/mysql_accounts.hpp"
#include "base/utf8.hpp"

namespace dm::backup {
namespace {

constexpr std::size_t kHead = 64U << 10U;

enum class Mode : std::uint8_t {
  between,
  comment,        // a line of "--" or "#" between statements
  delimiter,      // a line "DELIMITER ;;"
  statement,
  line_comment,   // inside a statement
  block_comment,
  quoted,         // '...', "..." or `...`
  values,         // between the tuples of an INSERT
  tuple,
  tuple_quoted,
};

bool blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/// Settings, locks and drops: how to read the dump, not what is in it.
bool session(std::string_view text) {
  if (text.starts_with("/*!") || text.starts_with("/*M!")) {
    text.remove_prefix(text.find('!') + 1);
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') text.remove_prefix(1);
    while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
    if (text.starts_with("\\-")) return true;  // the sandbox mark
  }
  for (const std::string_view word : {"SET ", "set autocommit", "commit", "COMMIT", "LOCK TABLES", "UNLOCK TABLES", "DROP ", "ALTER TABLE `", "START TRANSACTION", "FLUSH "}) {
    if (!text.starts_with(word)) continue;
    if (word != "ALTER TABLE `") return true;
    return text.find(" DISABLE KEYS") != std::string_view::npos || text.find(" ENABLE KEYS") != std::string_view::npos;
  }
  return text.empty();
}

/// The table of "INSERT INTO `a`..." with its quotes taken away.
std::string table_name(std::string_view head) {
  const auto first = head.find('`');
  if (first == std::string_view::npos) return std::string(head.substr(0, std::min(head.find('('), head.size())));
  std::string out;
  for (std::size_t i = first + 1; i < head.size(); ++i) {
    if (head[i] != '`') out += head[i];
    else if (i + 1 < head.size() && head[i + 1] == '`') out += head[i++];
    else break;
  }
  return out;
}

}  // namespace

struct MysqlDumpStream::State {
  Mode mode = Mode::between;
  std::string head;
  Hasher hash;
  std::uint64_t length = 0;
  std::string line;
  std::string delimiter = ";";
  char quote = 0;
  bool escape = false;
  char before = 0;
  unsigned dashes = 0;       // just before the byte in hand
  std::size_t matched = 0;   // of a delimiter of two bytes
  unsigned depth = 0;
  Part* table = nullptr;
  Parts parts;
  Fingerprint out;
  bool begun = false, complete = false;
  bool accounts = false;  ///< written by us: an account a part, a row a statement

  void add(std::string_view bytes) {
    if (head.size() < kHead) head.append(bytes.substr(0, kHead - head.size()));
    hash.add(bytes);
    length += bytes.size();
  }

  void comment() {
    while (line.ends_with('\r')) line.pop_back();
    const std::string_view text = line;
    if (text.starts_with("-- MariaDB dump ") || text.starts_with("-- MySQL dump ")) begun = true;
    if (text.starts_with(kMysqlAccounts)) begun = accounts = true;
    constexpr std::string_view kAccount = "-- Account ";
    if (accounts && text.starts_with(kAccount)) table = &parts[text.substr(kAccount.size())];
    if (text.starts_with("-- Dump completed")) complete = true;
    constexpr std::string_view kServer = "-- Server version";
    if (text.starts_with(kServer)) {
      auto rest = text.substr(kServer.size());
      while (!rest.empty() && blank(rest[0])) rest.remove_prefix(1);
      out.producer = fmt::format("{}{}", rest.find("MariaDB") == std::string_view::npos ? "MySQL " : "", printable(rest));
    }
  }

  void statement() {
    const auto sum = hash.take();
    const auto size = std::exchange(length, 0);
    std::string_view text = head;
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    mode = Mode::between;
    complete = false;
    if (text.find("`datamancy_drill`") != std::string_view::npos || text.find("'datamancy_drill'") != std::string_view::npos) {
      // The stand-in's own user is no part of what is compared.
    } else if (text.starts_with("CREATE DATABASE ") || text.starts_with("USE ") || text.starts_with("ALTER DATABASE ")) out.identity += sum;
    else if (session(text)) {
    } else if (accounts && table != nullptr) {
      table->rows += 1;
      table->bytes += size;
      table->sum += sum;
    } else {
      out.schema += sum;
      out.statements += 1;
    }
    head.clear();
  }
};

MysqlDumpStream::MysqlDumpStream() : state_(std::make_unique<State>()) { state_->out.format = "mariadb"; }
MysqlDumpStream::~MysqlDumpStream() = default;

Result<void> MysqlDumpStream::take(std::string_view bytes) {
  State& s = *state_;
  std::size_t at = 0, kept = 0;
  while (at < bytes.size()) {
    const char c = bytes[at];
    switch (s.mode) {
      case Mode::between:
        if (blank(c) || c == ';') {
          ++at;
          break;
        }
        s.before = 0;
        s.line.clear();
        if (c == '-' || c == '#') {
          s.mode = Mode::comment;
        } else if (c == 'D') {
          s.mode = Mode::delimiter;  // or a statement: decided at its line's end
        } else {
          s.mode = Mode::statement;
          kept = at;
        }
        break;
      case Mode::comment:
      case Mode::delimiter: {
        const auto end = bytes.find('\n', at);
        const auto text = bytes.substr(at, end == std::string_view::npos ? end : end - at);
        if (s.mode == Mode::delimiter) {
          constexpr std::string_view kWord = "DELIMITER ";
          // As soon as it cannot be that word, it is a statement.
          const auto seen = s.line + std::string(text.substr(0, 12));
          const bool too_short = end != std::string_view::npos && seen.size() < kWord.size();
          if (too_short || !std::string_view(seen).starts_with(kWord.substr(0, std::min(seen.size(), kWord.size())))) {
            s.mode = Mode::statement;
            const auto held = std::exchange(s.line, {});
            s.add(held);
            kept = at;
            break;
          }
        }
        if (s.line.size() < 200) s.line.append(text.substr(0, 200 - s.line.size()));
        at = end == std::string_view::npos ? bytes.size() : end + 1;
        if (end == std::string_view::npos) break;
        if (s.mode == Mode::comment) {
          s.comment();
        } else {
          s.delimiter = s.line.substr(10);
          while (!s.delimiter.empty() && blank(s.delimiter.back())) s.delimiter.pop_back();
          if (s.delimiter.empty() || s.delimiter.size() > 16) return fail(Errc::corrupt, "the dump sets a delimiter that is none");
        }
        s.line.clear();
        s.mode = Mode::between;
        break;
      }
      case Mode::line_comment: {
        const auto end = bytes.find('\n', at);
        const auto text = bytes.substr(at, end == std::string_view::npos ? end : end - at);
        if (s.line.size() < 200) s.line.append(text.substr(0, 200 - s.line.size()));
        // The sandbox mark has no end of its own, so that the first lines seem to belong to a statement.
        if (end != std::string_view::npos && s.out.producer.empty() && !s.line.starts_with("-- Dump completed")) s.comment();
        at = end == std::string_view::npos ? bytes.size() : end + 1;
        if (end != std::string_view::npos) s.mode = Mode::statement;
        break;
      }
      case Mode::block_comment:
        ++at;
        if (s.before == '*' && c == '/') s.mode = Mode::statement;
        s.before = c;
        break;
      case Mode::quoted:
      case Mode::tuple_quoted: {
        if (s.escape) {
          s.escape = false;
          ++at;
          break;
        }
        const char quote = s.quote;
        const bool escapes = quote != '`';
        while (at < bytes.size() && bytes[at] != quote && !(escapes && bytes[at] == '\\')) ++at;
        if (at == bytes.size()) break;
        if (bytes[at] == '\\') s.escape = true;
        else s.mode = s.mode == Mode::quoted ? Mode::statement : Mode::tuple;  // a doubled quote begins the next text at once
        ++at;
        s.before = 0;
        break;
      }
      case Mode::statement: {
        ++at;
        const char previous = std::exchange(s.before, c);
        const unsigned dashes = std::exchange(s.dashes, c == '-' ? s.dashes + 1 : 0);
        if (c == s.delimiter[s.matched]) {
          if (++s.matched == s.delimiter.size()) {
            s.matched = 0;
            s.add(bytes.substr(kept, at - kept));
            kept = at;
            // Without the delimiter, which may stand on the next line or not.
            s.statement();
          }
          break;
        }
        s.matched = 0;
        if (c == '\'' || c == '"' || c == '`') {
          s.quote = c;
          s.mode = Mode::quoted;
        } else if (c == '(' ) {
          // "INSERT INTO `t` VALUES (" begins rows.
          s.add(bytes.substr(kept, at - 1 - kept));
          kept = at - 1;
          std::string_view text = s.head;
          while (!text.empty() && blank(text.back())) text.remove_suffix(1);
          if ((text.starts_with("INSERT ") || text.starts_with("REPLACE ")) && text.ends_with("VALUES") && s.head.size() < kHead) {
            s.table = &s.parts[table_name(text)];
            s.head.clear();
            s.hash.take();
            s.length = 0;
            s.complete = false;
            s.mode = Mode::values;
            --at;  // the parenthesis belongs to the tuple
            kept = at;
          }
        } else if (c == ' ' && dashes == 2) {
          s.mode = Mode::line_comment;
          s.line = "-- ";
        } else if (c == '*' && previous == '/') {
          // "/*!50003 CREATE" is content to look into, "/* note */" is not.
          if (at < bytes.size() && bytes[at] != '!' && bytes[at] != 'M') s.mode = Mode::block_comment;
          s.before = 0;
        }
        break;
      }
      case Mode::values:
        ++at;
        if (c == '(') {
          s.mode = Mode::tuple;
          s.depth = 1;
          kept = at;
        } else if (c == ';') {
          s.mode = Mode::between;
          kept = at;
        } else if (!blank(c) && c != ',') {
          return fail(Errc::corrupt, fmt::format("the rows of {} cannot be read", s.table->name));
        }
        break;
      case Mode::tuple:
        ++at;
        if (c == '\'' || c == '"') {
          s.quote = c;
          s.mode = Mode::tuple_quoted;
        } else if (c == '(') {
          ++s.depth;
        } else if (c == ')' && --s.depth == 0) {
          const auto piece = bytes.substr(kept, at - 1 - kept);
          const auto size = s.length + piece.size();
          Hash128 sum;
          if (s.length == 0) {
            sum = hash128(piece);
          } else {
            s.hash.add(piece);
            sum = s.hash.take();
          }
          s.length = 0;
          s.table->rows += 1;
          s.table->bytes += size;
          s.table->sum += sum;
          s.mode = Mode::values;
          kept = at;
        }
        break;
    }
  }
  if (s.mode == Mode::statement || s.mode == Mode::line_comment || s.mode == Mode::block_comment || s.mode == Mode::quoted) {
    s.add(bytes.substr(kept));
  } else if (s.mode == Mode::tuple || s.mode == Mode::tuple_quoted) {
    s.hash.add(bytes.substr(kept));
    s.length += bytes.size() - kept;
  }
  return {};
}

Result<Fingerprint> MysqlDumpStream::finish() {
  State& s = *state_;
  if (s.mode == Mode::comment) s.comment();
  if (s.mode == Mode::values || s.mode == Mode::tuple || s.mode == Mode::tuple_quoted) return fail(Errc::corrupt, fmt::format("the dump ends inside the rows of {}", s.table->name));
  if (s.mode != Mode::between && s.mode != Mode::comment) return fail(Errc::corrupt, "the dump ends inside a statement");
  if (!s.begun) return fail(Errc::corrupt, "this is no dump of mariadb-dump or mysqldump: its first line is missing");
  if (!s.complete) return fail(Errc::corrupt, "the dump is cut off: its last line, '-- Dump completed', is missing");
  s.out.parts = s.parts.take();
  return std::move(s.out);
}

}  // namespace dm::backup

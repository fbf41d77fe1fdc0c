#include "backup/pg_dump_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/utf8.hpp"

namespace dm::backup {
namespace {

constexpr std::size_t kHead = 256U << 10U;  // the longest COPY line: 1,600 columns with names of 63 bytes

bool blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }
bool name_byte(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

/// The table of "COPY public.orders (id, ...) FROM stdin;" or "INSERT INTO public.orders VALUES ...": a possibly quoted, dotted name.
std::string_view table_name(std::string_view text) {
  std::size_t at = 0;
  bool quoted = false;
  while (at < text.size() && (quoted || (text[at] != ' ' && text[at] != '('))) {
    if (text[at] == '"') quoted = !quoted;
    ++at;
  }
  return text.substr(0, at);
}

enum class Mode : std::uint8_t {
  between,        // statements
  comment,        // a line of "--" between statements
  meta,           // a line of psql, "\connect x"
  statement,
  line_comment,   // inside a statement; they count, since pg_dump writes none
  block_comment,
  single,         // '...'
  escaped,        // E'...'
  quoted,         // "..."
  tag,            // perhaps the beginning of a dollar quote
  dollar,         // $tag$...$tag$
  copy_line,      // what follows the semicolon of COPY
  copy,
};

bool in_statement(Mode mode) { return mode >= Mode::statement && mode <= Mode::dollar; }

constexpr std::string_view kAboutDatabase[] = {"CREATE DATABASE ", "ALTER DATABASE ", "DROP DATABASE ", "COMMENT ON DATABASE "};

/// Statements that name the database itself: its settings, owner, grants.
bool about_database(std::string_view text) {
  if (std::ranges::any_of(kAboutDatabase, [&](std::string_view begin) { return text.starts_with(begin); })) return true;
  return (text.starts_with("GRANT ") || text.starts_with("REVOKE ")) && text.find(" ON DATABASE ") != std::string_view::npos;
}

bool session(std::string_view text) {
  return text.starts_with("SET ") || text.starts_with("SELECT pg_catalog.set_config(") || text == "BEGIN;" || text == "COMMIT;" || text == ";";
}

}  // namespace

struct PgDumpStream::State {
  Mode mode = Mode::between;
  // The statement in hand.
  std::string head;          // its beginning, at most kHead bytes
  Hasher hash;
  std::uint64_t length = 0;
  char before = 0;           // the byte before the one in hand
  int depth = 0;             // of block comments
  std::string tag;           // of the dollar quote: "$$", "$function$"
  std::size_t matched = 0;   // bytes of the tag seen at the end of what was read
  bool backslash = false;
  bool cut = false;          // the statement's head is not all of it
  std::string line;          // a comment or a line of psql, at most 200 bytes
  std::string restricted;    // the token of a \restrict that is still in force
  // COPY
  Part* table = nullptr;
  Hasher row;
  std::uint64_t row_bytes = 0;
  std::array<char, 2> row_head{};
  // Large objects
  bool in_object = false;
  Hasher object;
  std::uint64_t object_bytes = 0;

  Parts parts;
  Fingerprint out;
  bool begun = false;         // the first line of a dump was seen
  bool marked = false;        // its end mark was the last line
  bool complete = false;

  void add(std::string_view bytes) {
    if (head.size() < kHead) head.append(bytes.substr(0, kHead - head.size()));
    hash.add(bytes);
    length += bytes.size();
  }
  void comment();
  void meta();
  void statement();
  std::string_view copy(std::string_view bytes);
  std::string_view sql(std::string_view bytes);
  void count(Part& part, const Hash128& sum, std::uint64_t size) {
    part.sum += sum;
    part.rows += 1;
    part.bytes += size;
  }
};

void PgDumpStream::State::comment() {
  while (line.ends_with('\r')) line.pop_back();
  // The end mark is a line between two of dashes alone.
  if (line == "-- PostgreSQL database dump complete" || line == "-- PostgreSQL database cluster dump complete") marked = true;
  else if (std::exchange(marked, false) && line == "--") complete = true;
  if (line == "-- PostgreSQL database dump" || line == "-- PostgreSQL database cluster dump") begun = true;
  constexpr std::string_view kServer = "-- Dumped from database version ", kProgram = "-- Dumped by pg_dump version ";
  const std::string_view text = line;
  const auto word = [](std::string_view rest) { return rest.substr(0, std::min(rest.find(' '), rest.size())); };
  if (text.starts_with(kServer)) out.producer = fmt::format("PostgreSQL {}", printable(word(text.substr(kServer.size()))));
  if (text.starts_with(kProgram)) out.producer += fmt::format(", pg_dump {}", printable(word(text.substr(kProgram.size()))));
}

/// Programs of 2025-08 and later lock psql with a token at the beginning, and open it behind the end mark.
void PgDumpStream::State::meta() {
  while (line.ends_with('\r')) line.pop_back();
  constexpr std::string_view kLock = "\\restrict ", kOpen = "\\unrestrict ";
  if (line.starts_with(kLock)) restricted = line.substr(kLock.size());
  else if (line.starts_with(kOpen) && line.substr(kOpen.size()) == restricted) restricted.clear();
}

/// A statement ended, with its semicolon.
void PgDumpStream::State::statement() {
  const Hash128 sum = hash.take();
  const std::uint64_t size = std::exchange(length, 0);
  const std::string_view text = head;
  mode = Mode::between;
  marked = complete = false;
  if (text.starts_with("COPY ") && text.ends_with(" FROM stdin;")) {
    table = &parts[table_name(text.substr(5))];
    mode = Mode::copy_line;
    out.schema += sum;  // the list of columns
    out.statements += 1;
  } else if (in_object && text.starts_with("SELECT pg_catalog.lowrite(")) {
    object.add({reinterpret_cast<const char*>(&sum), sizeof sum});
    object_bytes += size;
  } else if (text.starts_with("SELECT pg_catalog.lo_open(")) {
    in_object = true;
    object_bytes = 0;
    object.add(text);
  } else if (in_object && text.starts_with("SELECT pg_catalog.lo_close(")) {
    in_object = false;
    count(parts["large objects"], object.take(), object_bytes);
  } else if (text.starts_with("SELECT pg_catalog.setval(")) {
    count(parts["sequences"], sum, size);
  } else if (text.starts_with("INSERT INTO ")) {
    count(parts[table_name(text.substr(12))], sum, size);
  } else if (about_database(text)) {
    out.identity += sum;
  } else if (!session(text)) {
    out.schema += sum;
    out.statements += 1;
  }
  head.clear();
}

/// Rows; gives what follows the block's end.
std::string_view PgDumpStream::State::copy(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto* const found = static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
    const auto size = found == nullptr ? bytes.size() : static_cast<std::size_t>(found - bytes.data());
    if (found != nullptr && row_bytes == 0) {  // the common case: a whole row in this piece
      if (size == 2 && bytes[0] == '\\' && bytes[1] == '.') {
        mode = Mode::between;
        return bytes.substr(3);
      }
      count(*table, hash128({bytes.data(), size}), size);
      bytes.remove_prefix(size + 1);
      continue;
    }
    for (std::size_t i = 0; row_bytes + i < 2 && i < size; ++i) row_head[row_bytes + i] = bytes[i];
    row.add({bytes.data(), size});
    row_bytes += size;
    if (found == nullptr) return {};
    const auto sum = row.take();
    const auto whole = std::exchange(row_bytes, 0);
    bytes.remove_prefix(size + 1);
    if (whole == 2 && row_head[0] == '\\' && row_head[1] == '.') {
      mode = Mode::between;
      return bytes;
    }
    count(*table, sum, whole);
  }
  return {};
}

/// Everything else; stops before the first row of a COPY block.
std::string_view PgDumpStream::State::sql(std::string_view bytes) {
  std::size_t at = 0;
  std::size_t kept = 0;  // up to here the statement has its bytes
  while (at < bytes.size()) {
    const char c = bytes[at];
    const char previous = std::exchange(before, c);
    switch (mode) {
      case Mode::between:
        if (blank(c)) {
          ++at;
        } else if (c == '\\') {
          mode = Mode::meta;
          line.clear();
        } else {
          mode = Mode::statement;
          kept = at;
          before = 0;
          if (c == '-') {  // a comment, unless one dash stands alone
            mode = Mode::comment;
            line.clear();
          }
        }
        break;
      case Mode::meta:
      case Mode::comment: {
        const auto end = bytes.find('\n', at);
        const auto text = bytes.substr(at, end == std::string_view::npos ? end : end - at);
        if (line.size() < 200) line.append(text.substr(0, 200 - line.size()));
        at = end == std::string_view::npos ? bytes.size() : end + 1;
        if (end == std::string_view::npos) break;
        if (mode == Mode::comment) comment();
        else meta();
        line.clear();
        mode = Mode::between;
        break;
      }
      case Mode::line_comment: {
        const auto end = bytes.find('\n', at);
        at = end == std::string_view::npos ? bytes.size() : end + 1;
        if (end != std::string_view::npos) mode = Mode::statement;
        break;
      }
      case Mode::block_comment:
        ++at;
        if (previous == '*' && c == '/') {
          before = 0;
          if (--depth == 0) mode = Mode::statement;
        } else if (previous == '/' && c == '*') {
          before = 0;
          ++depth;
        }
        break;
      case Mode::single:
      case Mode::quoted: {
        const auto end = bytes.find(mode == Mode::single ? '\'' : '"', at);
        at = end == std::string_view::npos ? bytes.size() : end + 1;
        before = 0;
        if (end != std::string_view::npos) mode = Mode::statement;  // a doubled quote begins the next text at once
        break;
      }
      case Mode::escaped:
        ++at;
        if (backslash) backslash = false;
        else if (c == '\\') backslash = true;
        else if (c == '\'') mode = Mode::statement;
        break;
      case Mode::tag:
        if (c == '$') {
          tag += c;
          matched = 0;
          mode = Mode::dollar;
          ++at;
        } else if (name_byte(c) && tag.size() < 64 && !(tag.size() == 1 && c >= '0' && c <= '9')) {
          tag += c;
          ++at;
        } else {
          mode = Mode::statement;
        }
        break;
      case Mode::dollar:
        if (matched == 0) {
          const auto end = bytes.find('$', at);
          at = end == std::string_view::npos ? bytes.size() : end + 1;
          matched = end == std::string_view::npos ? 0 : 1;
        } else if (c == tag[matched]) {
          ++at;
          if (++matched == tag.size()) mode = Mode::statement;
        } else {
          matched = 0;  // this byte may begin the tag anew
        }
        break;
      case Mode::statement:
        ++at;
        if (c == ';') {
          add(bytes.substr(kept, at - kept));
          kept = at;
          statement();
          if (mode == Mode::copy_line) return bytes.substr(at);
        } else if (c == '\'') {
          mode = previous == 'E' || previous == 'e' ? Mode::escaped : Mode::single;
        } else if (c == '"') {
          mode = Mode::quoted;
        } else if (c == '$' && !name_byte(previous)) {
          tag = "$";
          mode = Mode::tag;
        } else if (c == '-' && previous == '-') {
          mode = Mode::line_comment;
        } else if (c == '*' && previous == '/') {
          mode = Mode::block_comment;
          depth = 1;
          before = 0;
        }
        break;
      case Mode::copy_line:
      case Mode::copy: return bytes.substr(at);
    }
  }
  if (in_statement(mode)) add(bytes.substr(kept));
  return {};
}

PgDumpStream::PgDumpStream() : state_(std::make_unique<State>()) { state_->out.format = "postgres"; }
PgDumpStream::~PgDumpStream() = default;

Result<void> PgDumpStream::take(std::string_view bytes) {
  State& state = *state_;
  while (!bytes.empty()) {
    if (state.mode == Mode::copy) {
      bytes = state.copy(bytes);
    } else if (state.mode == Mode::copy_line) {
      const auto end = bytes.find('\n');
      if (end == std::string_view::npos) return {};
      state.mode = Mode::copy;
      state.row_bytes = 0;
      bytes.remove_prefix(end + 1);
    } else {
      bytes = state.sql(bytes);
    }
  }
  return {};
}

Result<Fingerprint> PgDumpStream::finish() {
  State& state = *state_;
  if (state.mode == Mode::comment) state.comment();  // the last line has no end
  if (state.mode == Mode::meta) state.meta();
  if (state.mode == Mode::copy || state.mode == Mode::copy_line) return fail(Errc::corrupt, fmt::format("the dump ends inside the rows of {}", state.table->name));
  if (in_statement(state.mode)) return fail(Errc::corrupt, "the dump ends inside a statement");
  if (!state.begun) return fail(Errc::corrupt, "this is no plain dump of pg_dump: its first line is missing");
  if (!state.complete) return fail(Errc::corrupt, "the dump is cut off: its last line, 'PostgreSQL database dump complete', is missing");
  if (!state.restricted.empty()) return fail(Errc::corrupt, "the dump is cut off: it begins with \\restrict, and its last line, \\unrestrict, is missing");
  state.out.parts = state.parts.take();
  return std::move(state.out);
}

std::string pg_identifier(std::string_view name) {
  const auto bare = [](char c, bool first) { return (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9'); };
  bool plain = !name.empty();
  for (std::size_t i = 0; i < name.size(); ++i) plain = plain && bare(name[i], i == 0);
  if (plain) return std::string(name);
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

PgRename::PgRename(std::string_view from, std::string_view to) : from_(pg_identifier(from)), to_name_(to) {
  // What we write is always quoted: that is right for every name, reserved words too.
  to_ = "\"";
  for (const char c : to) to_ += c == '"' ? std::string("\"\"") : std::string(1, c);
  to_ += '"';
}

std::string PgRename::line(std::string_view text) const {
  constexpr std::string_view kBefore[] = {"CREATE DATABASE ", "ALTER DATABASE ", "DROP DATABASE ", "COMMENT ON DATABASE ", "SECURITY LABEL ON DATABASE "};
  const auto quoted = fmt::format("\"{}\"", from_);
  const auto named = [&](std::string_view rest, std::string_view name) {
    return rest.starts_with(name) && (rest.size() == name.size() || rest[name.size()] == ' ' || rest[name.size()] == ';' || rest[name.size()] == '\n');
  };
  const auto replaced = [&](std::size_t at) -> std::string {
    const auto rest = text.substr(at);
    for (const std::string_view name : {std::string_view(from_), std::string_view(quoted)})
      if (named(rest, name)) return fmt::format("{}{}{}", text.substr(0, at), to_, rest.substr(name.size()));
    return std::string(text);
  };
  for (const auto before : kBefore)
    if (text.starts_with(before)) return replaced(before.size());
  if (text.starts_with("GRANT ") || text.starts_with("REVOKE ")) {
    constexpr std::string_view kOn = " ON DATABASE ";
    if (const auto at = text.find(kOn); at != std::string_view::npos) return replaced(at + kOn.size());
  }
  if (text.starts_with("\\connect ")) return fmt::format("\\connect {}\n", to_);
  return std::string(text);
}

std::string PgRename::pass(std::string_view bytes, bool last) {
  if (through_) return std::string(bytes);
  held_.append(bytes);
  std::string out;
  std::size_t at = 0;
  while (!through_) {
    const auto end = held_.find('\n', at);
    if (end == std::string::npos && !last && held_.size() - at < (1U << 20U)) break;
    const auto text = std::string_view(held_).substr(at, end == std::string::npos ? end : end + 1 - at);
    if (text.empty()) break;
    if (text.starts_with("CREATE TABLE ") || text.starts_with("CREATE FUNCTION ") || text.starts_with("COPY ") || text.starts_with("INSERT INTO ") || text.starts_with("CREATE VIEW ")) {
      through_ = true;
      break;
    }
    out += line(text);
    at += text.size();
  }
  if (through_ || last) {
    out += std::string_view(held_).substr(at);
    held_.clear();
  } else {
    held_.erase(0, at);
  }
  return out;
}

}  // namespace dm::backup

#include "backup/rdb_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/utf8.hpp"

namespace dm::backup {
namespace {

constexpr std::size_t kLargest = 600U << 20U;  // the server's own limit for one string is 512 MiB

struct Crc {
  std::array<std::array<std::uint64_t, 256>, 8> table{};
  constexpr Crc() {
    constexpr std::uint64_t kPolynomial = 0x95ac9329ac4bc9b5ULL;  // Jones, reflected
    for (std::uint64_t i = 0; i < 256; ++i) {
      std::uint64_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1U) ^ kPolynomial : crc >> 1U;
      table[0][i] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
      for (std::size_t i = 0; i < 256; ++i) table[k][i] = (table[k - 1][i] >> 8U) ^ table[0][table[k - 1][i] & 0xFFU];
  }
};
constexpr Crc kCrc;

/// Thrown inside the parser where the piece ends; it begins the same step anew when more has come.
struct More {};
struct Bad {
  Error error;
};
[[noreturn]] void bad(std::string message) { throw Bad{{Errc::corrupt, std::move(message), {}}}; }

/// Bytes at hand.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  std::size_t at() const { return at_; }
  std::string_view take(std::uint64_t size) {
    if (size > kLargest) bad(fmt::format("a value of {} bytes is larger than any server makes", size));
    if (bytes_.size() - at_ < size) throw More{};
    const auto out = bytes_.substr(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return out;
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::uint64_t little(std::size_t size) {
    const auto text = take(size);
    std::uint64_t out = 0;
    for (std::size_t i = size; i-- > 0;) out = (out << 8U) | static_cast<std::uint8_t>(text[i]);
    return out;
  }
  bool done() const { return at_ == bytes_.size(); }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

struct Length {
  std::uint64_t value = 0;
  bool special = false;
};

Length length_of(Cursor& in) {
  const auto first = in.byte();
  switch (first >> 6U) {
    case 0: return {first & 0x3FU};
    case 1: return {(static_cast<std::uint64_t>(first & 0x3FU) << 8U) | in.byte()};
    case 2: {
      std::uint64_t out = 0;
      const std::size_t size = first == 0x80 ? 4 : first == 0x81 ? 8 : 0;
      if (size == 0) bad("a length cannot be read");
      for (const char c : in.take(size)) out = (out << 8U) | static_cast<std::uint8_t>(c);
      return {out};
    }
    default: return {first & 0x3FU, true};
  }
}

std::uint64_t plain_length(Cursor& in) {
  const auto length = length_of(in);
  if (length.special) bad("a length was expected");
  return length.value;
}

std::string lzf(std::string_view in, std::uint64_t size) {
  if (size > kLargest) bad("a compressed value is larger than any server makes");
  std::string out;
  out.reserve(static_cast<std::size_t>(size));
  std::size_t at = 0;
  const auto next = [&]() -> std::uint8_t {
    if (at >= in.size()) bad("a compressed value is damaged");
    return static_cast<std::uint8_t>(in[at++]);
  };
  while (at < in.size()) {
    const std::size_t control = next();
    if (control < 32) {
      if (at + control + 1 > in.size()) bad("a compressed value is damaged");
      out.append(in.substr(at, control + 1));
      at += control + 1;
    } else {
      std::size_t count = control >> 5U;
      if (count == 7) count += next();
      const std::size_t back = ((control & 0x1FU) << 8U) + next() + 1;
      if (back > out.size()) bad("a compressed value is damaged");
      for (std::size_t i = 0; i < count + 2; ++i) out += out[out.size() - back];
    }
    if (out.size() > size) bad("a compressed value is damaged");
  }
  if (out.size() != size) bad("a compressed value is damaged");
  return out;
}

std::string text_of(std::int64_t number) { return std::to_string(number); }

std::string string_of(Cursor& in) {
  const auto length = length_of(in);
  if (!length.special) return std::string(in.take(length.value));
  switch (length.value) {
    case 0: return text_of(static_cast<std::int8_t>(in.byte()));
    case 1: return text_of(static_cast<std::int16_t>(in.little(2)));
    case 2: return text_of(static_cast<std::int32_t>(in.little(4)));
    case 3: {
      const auto packed = plain_length(in);
      const auto size = plain_length(in);
      return lzf(in.take(packed), size);
    }
    default: bad("a string cannot be read");
  }
}

/// Calls `each` for every element of a listpack.
void listpack(std::string_view bytes, const std::function<void(std::string)>& each) {
  Cursor in(bytes);
  try {
    if (in.little(4) != bytes.size()) bad("a listpack has a wrong size");
    in.take(2);
    while (true) {
      const auto begin = in.at();
      const auto first = in.byte();
      if (first == 0xFF) break;
      if ((first & 0x80U) == 0) each(text_of(first & 0x7FU));
      else if ((first & 0xC0U) == 0x80) each(std::string(in.take(first & 0x3FU)));
      else if ((first & 0xE0U) == 0xC0) {
        auto number = static_cast<std::int64_t>((static_cast<unsigned>(first & 0x1FU) << 8U) | in.byte());
        if (number >= 4096) number -= 8192;
        each(text_of(number));
      } else if ((first & 0xF0U) == 0xE0) {
        const auto size = (static_cast<std::uint64_t>(first & 0x0FU) << 8U) | in.byte();
        each(std::string(in.take(size)));
      } else if (first == 0xF0) each(std::string(in.take(in.little(4))));
      else if (first == 0xF1) each(text_of(static_cast<std::int16_t>(in.little(2))));
      else if (first == 0xF2) {
        auto number = static_cast<std::int64_t>(in.little(3));
        if (number >= 1 << 23) number -= 1 << 24;
        each(text_of(number));
      } else if (first == 0xF3) each(text_of(static_cast<std::int32_t>(in.little(4))));
      else if (first == 0xF4) each(text_of(static_cast<std::int64_t>(in.little(8))));
      else bad("a listpack cannot be read");
      const auto size = in.at() - begin;  // the length again, for reading backwards
      in.take(size < 128 ? 1 : size < 16384 ? 2 : size < 2097152 ? 3 : size < 268435456 ? 4 : 5);
    }
  } catch (const More&) {
    bad("a listpack is cut off");
  }
}

void ziplist(std::string_view bytes, const std::function<void(std::string)>& each) {
  Cursor in(bytes);
  try {
    if (in.little(4) != bytes.size()) bad("a ziplist has a wrong size");
    in.take(6);
    while (true) {
      const auto previous = in.byte();
      if (previous == 0xFF) break;
      if (previous == 0xFE) in.take(4);
      const auto first = in.byte();
      if (first >> 6U == 0) each(std::string(in.take(first & 0x3FU)));
      else if (first >> 6U == 1) {
        const auto size = (static_cast<std::uint64_t>(first & 0x3FU) << 8U) | in.byte();
        each(std::string(in.take(size)));
      } else if (first >> 6U == 2) {
        std::uint64_t size = 0;
        for (const char c : in.take(4)) size = (size << 8U) | static_cast<std::uint8_t>(c);
        each(std::string(in.take(size)));
      } else if (first == 0xC0) each(text_of(static_cast<std::int16_t>(in.little(2))));
      else if (first == 0xD0) each(text_of(static_cast<std::int32_t>(in.little(4))));
      else if (first == 0xE0) each(text_of(static_cast<std::int64_t>(in.little(8))));
      else if (first == 0xF0) {
        auto number = static_cast<std::int64_t>(in.little(3));
        if (number >= 1 << 23) number -= 1 << 24;
        each(text_of(number));
      } else if (first == 0xFE) each(text_of(static_cast<std::int8_t>(in.byte())));
      else if (first >= 0xF1 && first <= 0xFD) each(text_of(first - 0xF1));
      else bad("a ziplist cannot be read");
    }
  } catch (const More&) {
    bad("a ziplist is cut off");
  }
}

void intset(std::string_view bytes, const std::function<void(std::string)>& each) {
  Cursor in(bytes);
  try {
    const auto width = in.little(4);
    const auto count = in.little(4);
    if ((width != 2 && width != 4 && width != 8) || 8 + width * count != bytes.size()) bad("an intset cannot be read");
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto raw = in.little(width);
      each(text_of(width == 2 ? static_cast<std::int16_t>(raw) : width == 4 ? static_cast<std::int32_t>(raw) : static_cast<std::int64_t>(raw)));
    }
  } catch (const More&) {
    bad("an intset is cut off");
  }
}

/// A score as one text, whichever way it was written.
std::string score(double value) {
  if (std::isnan(value)) return "nan";
  if (value == 0) value = 0;  // -0
  return fmt::format("{}", value);
}
std::string score(const std::string& text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && stop == text.data() + text.size() ? score(value) : text;
}

/// The value of one key, made of members.
struct Value {
  Hash128 sum{};        // of members whose order does not matter
  Hasher ordered{};     // of those whose order does
  std::uint64_t count = 0, bytes = 0;
  void member(std::string_view a) {
    sum += hash128(a);
    ++count;
    bytes += a.size();
  }
  void pair(std::string_view a, std::string_view b) {
    sum += hash128(fmt::format("{}:{}{}", a.size(), a, b));
    ++count;
    bytes += a.size() + b.size();
  }
  void next(std::string_view a) {
    ordered.add(fmt::format("{}:", a.size()));
    ordered.add(a);
    ++count;
    bytes += a.size();
  }
};

}  // namespace

std::uint64_t rdb_crc64(std::uint64_t crc, std::string_view bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  const auto& t = kCrc.table;
  while (left >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    crc ^= word;
    crc = t[7][crc & 0xFFU] ^ t[6][(crc >> 8U) & 0xFFU] ^ t[5][(crc >> 16U) & 0xFFU] ^ t[4][(crc >> 24U) & 0xFFU] ^ t[3][(crc >> 32U) & 0xFFU] ^ t[2][(crc >> 40U) & 0xFFU] ^
          t[1][(crc >> 48U) & 0xFFU] ^ t[0][crc >> 56U];
    at += 8;
    left -= 8;
  }
  while (left-- > 0) crc = t[0][(crc ^ *at++) & 0xFFU] ^ (crc >> 8U);
  return crc;
}

struct RdbStream::State {
  std::string held;         // what is not used up
  std::uint64_t crc = 0;
  std::size_t wait = 0;     // so many held bytes before it is tried again: a long value is not read anew for every piece
  bool begun = false, complete = false;
  std::uint64_t db = 0;
  std::int64_t expiry = -1;
  Parts parts;
  Fingerprint out;

  // A value of many members that is under way: members are used up one by one, so that memory stays small.
  std::uint64_t members_left = 0;
  int type = -1;
  std::string key;
  Value value;

  void key_done() {
    std::string text = fmt::format("{}:{}{}:", key.size(), key, kind(type));
    if (type == 0) text += value.ordered.take().hex();
    else text += value.sum.hex() + value.ordered.take().hex() + std::to_string(value.count);
    Part& part = parts[expiry >= 0 ? fmt::format("db {}, expiring", db) : fmt::format("db {}", db)];
    part.loose = expiry >= 0;
    part.rows += 1;
    part.bytes += key.size() + value.bytes;
    part.sum += hash128(text);
    expiry = -1;
    type = -1;
    value = Value{};
  }

  static const char* kind(int type) {
    switch (type) {
      case 0: return "string";
      case 1: case 10: case 14: case 18: return "list";
      case 2: case 11: case 20: return "set";
      case 3: case 5: case 12: case 17: return "zset";
      case 4: case 9: case 13: case 16: return "hash";
      default: return "stream";
    }
  }

  void step(Cursor& in);
  void member(Cursor& in);
  void stream(Cursor& in);
};

/// One member of the value under way.
void RdbStream::State::member(Cursor& in) {
  switch (type) {
    case 1: value.next(string_of(in)); break;
    case 2: value.member(string_of(in)); break;
    case 4: {
      const auto field = string_of(in);
      const auto content = string_of(in);
      value.pair(field, content);
      break;
    }
    case 3: {
      const auto name = string_of(in);
      const auto size = in.byte();
      if (size >= 253) {
        value.pair(name, size == 253 ? "nan" : size == 254 ? "inf" : "-inf");
      } else {
        value.pair(name, score(std::string(in.take(size))));
      }
      break;
    }
    case 5: {
      const auto name = string_of(in);
      const auto raw = in.little(8);
      double number = 0;
      std::memcpy(&number, &raw, sizeof number);
      value.pair(name, score(number));
      break;
    }
    case 14: ziplist(string_of(in), [&](std::string text) { value.next(text); }); break;
    case 18: {
      const auto form = plain_length(in);
      auto node = string_of(in);
      if (form == 1) value.next(node);
      else listpack(node, [&](std::string text) { value.next(text); });
      break;
    }
    default: bad("a value cannot be read");
  }
  --members_left;
}

void RdbStream::State::stream(Cursor& in) {
  const auto count = plain_length(in);
  for (std::uint64_t i = 0; i < count; ++i) {
    value.ordered.add(string_of(in));
    value.ordered.add(string_of(in));
  }
  const auto number = [&] { value.ordered.add(fmt::format("{} ", plain_length(in))); };
  const int numbers = type == 15 ? 3 : 8;  // length, last id; first id, greatest deleted id, entries added
  for (int i = 0; i < numbers; ++i) number();
  const auto groups = plain_length(in);
  for (std::uint64_t g = 0; g < groups; ++g) {
    value.ordered.add(string_of(in));
    number();
    number();
    if (type >= 19) number();
    const auto pending = plain_length(in);
    for (std::uint64_t i = 0; i < pending; ++i) {
      value.ordered.add(in.take(16));
      in.take(8);  // when it was delivered
      plain_length(in);
    }
    const auto consumers = plain_length(in);
    for (std::uint64_t i = 0; i < consumers; ++i) {
      value.ordered.add(string_of(in));
      in.take(8);
      if (type >= 21) in.take(8);
      const auto entries = plain_length(in);
      for (std::uint64_t e = 0; e < entries; ++e) value.ordered.add(in.take(16));
    }
  }
  value.count = count;
}

/// One thing: the header, an opcode, a key with its value, or a member. Changes state only where it was all there.
void RdbStream::State::step(Cursor& in) {
  if (!begun) {
    const auto magic = in.take(9);
    if (!magic.starts_with("REDIS") && !magic.starts_with("VALKEY")) bad("this is no RDB file");
    out.producer = fmt::format("RDB {}", printable(magic));
    begun = true;
    return;
  }
  if (type >= 0) {
    member(in);
    if (members_left == 0) key_done();
    return;
  }
  const auto code = in.byte();
  switch (code) {
    case 0xFF: {
      complete = true;  // the CRC is read by the caller
      return;
    }
    case 0xFE: {
      db = plain_length(in);
      return;
    }
    case 0xFB: plain_length(in); plain_length(in); return;
    case 0xFA: {
      const auto name = string_of(in);
      const auto text = string_of(in);
      if (name == "valkey-ver" || name == "redis-ver") out.producer = fmt::format("{} {}", name == "redis-ver" ? "Redis" : "Valkey", printable(text));
      return;
    }
    case 0xFD: expiry = static_cast<std::int64_t>(in.little(4)) * 1000; return;
    case 0xFC: expiry = static_cast<std::int64_t>(in.little(8)); return;
    case 0xF9: in.take(1); return;
    case 0xF8: plain_length(in); return;
    case 0xF5: {
      const auto text = string_of(in);
      Part& part = parts["functions"];
      part.rows += 1;
      part.bytes += text.size();
      part.sum += hash128(text);
      return;
    }
    case 0xF4: plain_length(in); plain_length(in); plain_length(in); return;  // slot sizes
    case 0xF7: throw Bad{{Errc::unsupported, "the snapshot holds data of a module, which cannot be compared", {}}};
    default: break;
  }
  auto name = string_of(in);
  const auto whole = [&](auto&& read) {
    value = Value{};
    read();
    key = std::move(name);
    type = code;
    key_done();
  };
  switch (code) {
    case 0: whole([&] { value.next(string_of(in)); }); return;
    case 9: case 10: case 11: case 12: case 13: case 16: case 17: case 20: case 15: case 19: case 21:
      whole([&] {
        if (code == 15 || code == 19 || code == 21) {
          type = code;
          stream(in);
          return;
        }
        const auto packed = string_of(in);
        std::string first;
        bool have = false;
        const auto pairs = [&](std::string text) {
          if (!std::exchange(have, !have)) {
            first = std::move(text);
            return;
          }
          value.pair(first, code == 12 || code == 17 ? score(text) : text);
        };
        if (code == 10) ziplist(packed, [&](std::string text) { value.next(text); });
        else if (code == 11) intset(packed, [&](std::string text) { value.member(text); });
        else if (code == 12 || code == 13) ziplist(packed, pairs);
        else if (code == 16 || code == 17) listpack(packed, pairs);
        else if (code == 20) listpack(packed, [&](std::string text) { value.member(text); });
        else throw Bad{{Errc::unsupported, "the snapshot holds a zipmap, which no server has made for years", {}}};
      });
      return;
    case 1: case 2: case 3: case 4: case 5: case 14: case 18: {
      const auto count = plain_length(in);
      key = std::move(name);
      value = Value{};
      members_left = count;
      type = code;
      if (count == 0) key_done();
      return;
    }
    default: throw Bad{{Errc::unsupported, fmt::format("the snapshot holds a value of the unknown type {}", code), {}}};
  }
}

RdbStream::RdbStream() : state_(std::make_unique<State>()) { state_->out.format = "rdb"; }
RdbStream::~RdbStream() = default;

Result<void> RdbStream::take(std::string_view bytes) {
  State& s = *state_;
  s.held.append(bytes);
  if (s.held.size() < s.wait) return {};
  s.wait = 0;
  std::size_t used = 0;
  try {
    while (!s.complete && used < s.held.size()) {
      Cursor in(std::string_view(s.held).substr(used));
      const int type_before = s.type;
      const auto count_before = s.value.count;
      try {
        s.step(in);
      } catch (const More&) {
        if (s.type >= 0 && type_before < 0) s.type = -1;  // a stream value that began
        if (s.type >= 0 && s.value.count != count_before) bad("a value cannot be read in pieces");
        if (s.type < 0) {
          s.value = Value{};
          s.wait = (s.held.size() - used) + (s.held.size() - used) / 4;
        }
        break;
      }
      s.crc = rdb_crc64(s.crc, std::string_view(s.held).substr(used, in.at()));
      used += in.at();
    }
  } catch (const Bad& trouble) {
    return fail(trouble.error);
  }
  s.held.erase(0, used);
  if (s.held.size() > kLargest + (1U << 20U)) return fail(Errc::corrupt, "a value is larger than any server makes");
  if (s.complete && s.held.size() > 8) return fail(Errc::corrupt, "there is more after the end of the snapshot");
  return {};
}

Result<Fingerprint> RdbStream::finish() {
  State& s = *state_;
  s.wait = 0;
  DM_CHECK(take({}));
  if (!s.complete) return fail(Errc::corrupt, s.begun ? "the snapshot is cut off: its end mark is missing" : "this is no RDB file");
  if (s.held.size() != 8) return fail(Errc::corrupt, "the snapshot is cut off within its checksum");
  std::uint64_t stated = 0;
  for (std::size_t i = 8; i-- > 0;) stated = (stated << 8U) | static_cast<std::uint8_t>(s.held[i]);
  if (stated != 0 && stated != s.crc) return fail(Errc::corrupt, "the snapshot's CRC-64 does not agree with its bytes");
  s.out.parts = s.parts.take();
  return std::move(s.out);
}

}  // namespace dm::backup

/// What a datastore holds, as a few numbers that do not depend on the order of rows: taken inside the dump's own stream, compared
/// after a restore.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/io.hpp"

namespace dm::backup {

/// 128 bits. Sums are taken modulo 2^128: unlike exclusive or, two equal rows do not cancel each other.
struct Hash128 {
  std::uint64_t high = 0, low = 0;
  Hash128& operator+=(const Hash128& other) {
    low += other.low;
    high += other.high + (low < other.low ? 1 : 0);
    return *this;
  }
  bool operator==(const Hash128&) const = default;
  std::string hex() const;                                ///< 32 lower-case digits
  static Result<Hash128> parse(std::string_view hex);
};

/// XXH3-128. Finds damage and loss, not a forger.
Hash128 hash128(std::string_view bytes);

/// The same over pieces.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void add(std::string_view bytes);
  bool empty() const { return empty_; }
  Hash128 take();  ///< and begins anew

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool empty_ = true;
};

/// One table, keyspace, folder tree, collection ...
struct Part {
  std::string name{};
  std::uint64_t rows = 0, bytes = 0;
  Hash128 sum{};
  /// Time changes it by itself (keys that expire): shown, compared by nothing.
  bool loose = false;
  bool operator==(const Part&) const = default;
};

struct Fingerprint {
  std::string format{};               ///< "postgres", "mariadb", "tree", ...
  std::vector<Part> parts{};          ///< by name
  Hash128 schema{};                   ///< of the statements that make no rows; sum, so their order does not matter
  std::uint64_t statements = 0;       ///< how many those are
  Hash128 identity{};                 ///< of what names the database itself (CREATE DATABASE, its settings and grants)
  std::string producer{};             ///< program and server that wrote it, as the dump says: "pg_dump 17.11 of 17.11"
  bool operator==(const Fingerprint&) const = default;

  std::uint64_t rows() const;
  std::uint64_t bytes() const;
  const Part* part(std::string_view name) const;
  std::string json() const;           ///< one line
  static Result<Fingerprint> parse(std::string_view json);
};

enum class Compare : std::uint8_t {
  everything,     ///< the same server version, the same name
  renamed,        ///< restored under another name: `identity` may differ
  data,           ///< another major version writes its schema in other words: parts only
};

/// What differs, one line each, at most `limit` lines; empty = equal.
std::vector<std::string> differences(const Fingerprint& then, const Fingerprint& now, Compare how, std::size_t limit = 20);

/// `now` without the parts that `then` has not: accounts that a server has besides are no loss.
Fingerprint narrowed(Fingerprint now, const Fingerprint& then);

/// Reads a dump as it passes by. Bounded memory for any input; never throws.
class DumpReader {
 public:
  virtual ~DumpReader() = default;
  /// Errors: `corrupt` where no dump of this kind can go on like that.
  virtual Result<void> take(std::string_view bytes) = 0;
  /// After the last byte. Errors: `corrupt` where the dump is not whole, with what is missing.
  virtual Result<Fingerprint> finish() = 0;
};

/// Numbers by name, kept in order; for readers.
class Parts {
 public:
  Part& operator[](std::string_view name);
  std::vector<Part> take();
  bool empty() const { return parts_.empty(); }

 private:
  std::vector<std::unique_ptr<Part>> parts_;   // by name
  Part* last_ = nullptr;
};

}  // namespace dm::backup

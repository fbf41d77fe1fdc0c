/// One value of a Compose project with its provenance: where it was written, how it came here, which variables made it.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "sources/source_set.hpp"

namespace dm::compose {

using sources::FileId;
using sources::Location;

enum class Kind : std::uint8_t { null, boolean, integer, real, string, sequence, mapping };

/// The custom tags of Compose (anything else is ignored as Compose ignores it), and an unquoted date: YAML has it as a time,
/// Compose takes it only below x-; its text is that time in RFC 3339.
enum class Tag : std::uint8_t { none, reset, override_, date };

/// A piece of an interpolated scalar. Pieces are in order and cover `Value::text`.
struct Segment {
  enum class Kind : std::uint8_t { literal, variable, fallback /* the default or replacement of a variable */ };
  Kind kind = Kind::literal;
  bool defined = false;           ///< the variable has a value from anywhere
  std::string_view variable;      ///< its name; empty for a literal
  std::uint32_t begin = 0;        ///< range in the decoded text
  std::uint32_t end = 0;
  Location where;                 ///< the piece as written, e.g. `${NAME:-x}`
  Location definition;            ///< in .env, --env-file; nowhere for the process's environment
};

/// How a value came into the place where it stands. Chains are shared and interned; 0 is "written right here".
struct Link {
  enum class Kind : std::uint8_t { include, extends, merge /* -f or a second document */, alias, env_file, default_value };
  Kind kind;
  std::uint32_t parent = 0;  ///< the next outer link, 0 for none
  Location where;            ///< the `include:` entry, the `extends:` key, the overriding value, the alias
};

struct Entry;

/// Lives in the project's arena; never shared between two places (aliases are copied), so stages change it in place.
struct Value {
  Kind kind = Kind::null;
  Tag tag = Tag::none;
  bool plain = false;         ///< an unquoted scalar
  bool boolean = false;       ///< of Kind::boolean
  std::uint32_t chain = 0;    ///< index into Project::links
  Location where;             ///< bytes of the value in its file; nowhere for a default that Compose adds
  std::string_view text;      ///< decoded text of a string; the text as written of other scalars
  std::string_view raw;       ///< the decoded scalar before interpolation; empty where nothing was replaced
  union {
    std::int64_t integer;                  ///< of Kind::integer
    double real;                           ///< of Kind::real
    std::pmr::vector<Value*>* items;       ///< of Kind::sequence, never null
    std::pmr::vector<Entry>* entries;      ///< of Kind::mapping, never null, in the order of the file
    std::uint64_t none = 0;
  };
  const std::pmr::vector<Segment>* segments = nullptr;  ///< of an interpolated scalar, else null

  bool is_null() const { return kind == Kind::null; }
  bool is_string() const { return kind == Kind::string; }
  bool is_scalar() const { return kind != Kind::sequence && kind != Kind::mapping; }
  bool is_sequence() const { return kind == Kind::sequence; }
  bool is_mapping() const { return kind == Kind::mapping; }
  /// The value of a key, or null. Linear: for the few wide maps keep an index of your own.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  const Entry* find_entry(std::string_view key) const;
  /// Walks nested keys; null as soon as one is missing.
  const Value* at(std::initializer_list<std::string_view> path) const;
  /// Text of a string value, else "".
  std::string_view string() const { return is_string() ? text : std::string_view(); }
};

/// One key of a mapping.
struct Entry {
  std::string_view key;
  Location key_where;
  Value* value = nullptr;
};

/// Memory of one project: everything lives until the arena goes.
class Arena {
 public:
  Arena() : pool_(64UL << 10U) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  Value* make(Kind kind, Location where = {});
  Value* string(std::string_view text, Location where = {});  ///< copies the text
  Value* boolean(bool value, Location where = {});
  Value* integer(std::int64_t value, Location where = {});
  Value* real(double value, Location where = {});
  /// A deep copy.
  Value* clone(const Value& value);
  std::string_view keep(std::string_view text);  ///< copies the text
  std::pmr::vector<Segment>* segments();
  std::pmr::memory_resource* memory() { return &pool_; }

 private:
  std::pmr::monotonic_buffer_resource pool_;
};

/// Sets or replaces a key of a mapping, keeping its place.
void set(Value& mapping, std::string_view key, Value* value, Location key_where = {});
/// Removes a key; false if it was not there.
bool erase(Value& mapping, std::string_view key);

}  // namespace dm::compose

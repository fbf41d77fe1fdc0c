/// The Compose schema as a table of ours: which keys there are, and what each may hold. Internal to the module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace dm::compose {

struct Shape;

/// What a value may be. Kinds are one letter each: s string, i integer, n number, b boolean, l list, m map, 0 null.
struct Spec {
  std::string_view kinds;
  const Shape* map = nullptr;      ///< how a mapping goes on; null: anything
  const Spec* item = nullptr;      ///< what each item of a list is; null: anything
  std::string_view words = {};     ///< "a|b": the only strings there are
  bool distinct = false;           ///< no item of the list twice
  std::int64_t least = std::numeric_limits<std::int64_t>::min();  ///< of an integer
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

struct Field {
  std::string_view name;
  Spec spec;
};

struct Shape {
  std::span<const Field> fields = {};
  const Spec* any = nullptr;       ///< what stands under names that the user chooses; null: only `fields`
  std::string_view required = {};  ///< "a|b"
  bool open = false;               ///< unknown names are not looked at
  bool extensions = true;          ///< x-... is allowed
};

/// The whole file, and which of its fields `services` is.
extern const Shape kFileShape;
inline constexpr std::size_t kServicesField = 3;

}  // namespace dm::compose

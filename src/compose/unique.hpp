/// The lists of a service whose items are unique for Compose.
#pragma once

#include "compose/value.hpp"

namespace dm::compose {

/// Items with the same key (`K` of `K=v`, the container's path of a device or secret) become one: the last, at the first
/// one's place. Works on the forms as written, before they are made long.
void unique_lists(Value& service);
/// The same for what stands below `build` and `networks`.
void unique_items(Value& node, std::string_view list);

}  // namespace dm::compose

/// How a value becomes part of a file of some format: one filter per format, so that no quote or line end in a value can change the file.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace dm::templates {

struct Filter {
  std::string_view name;
  std::string_view what;                                   ///< for --help and the documentation
  Result<std::string> (*apply)(std::string_view value);    ///< errors: `invalid_input`, never with the value
};

/// In order of their names.
std::span<const Filter> filters();
const Filter* find_filter(std::string_view name);

/// Letters, digits and `._:/@+=,-`: what no format quotes. Only such values go in without a filter.
bool plain_value(std::string_view value);

}  // namespace dm::templates

/// An env file that is sealed as a whole and that nobody could open.
#pragma once

#include <string_view>

namespace dm::sensitive {

/// What stands in for its text: no variable, since its names are sealed, too. They are not missing, they are not known.
inline constexpr std::string_view kSealedAsAWhole = "# sealed as a whole: its names are not known without a key\n";

}  // namespace dm::sensitive

/// JSON as text: taken apart and compared without passing its values through other types, so that large numbers stay as they are.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io.hpp"

namespace dm::backup {

/// Passes on, one by one as they come, the elements of the array that is member `name` of the outermost object. Holds one element, at
/// most 256 MiB. Success of `finish` = the outermost value came to its end.
class JsonArrayReader {
 public:
  JsonArrayReader(std::string name, std::function<Result<void>(std::string_view element)> each);
  Result<void> take(std::string_view bytes);
  Result<void> finish() const;

 private:
  std::string name_;
  std::function<Result<void>(std::string_view element)> each_;
  std::string key_, element_;
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false, inside_ = false, ended_ = false, key_next_ = false, seen_ = false;
};

/// The members of an object: name and text of the value. Errors: `corrupt`.
Result<std::vector<std::pair<std::string, std::string_view>>> json_members(std::string_view object);
Result<std::vector<std::string_view>> json_elements(std::string_view array);
/// The value's text without spaces, members by name, strings without needless escapes; numbers as they were. Errors: `corrupt`.
Result<std::string> json_canonical(std::string_view value);
/// `text` as a JSON string.
std::string json_of(std::string_view text);
/// The string that a text is, or the text itself.
std::string json_string(std::string_view value);

}  // namespace dm::backup

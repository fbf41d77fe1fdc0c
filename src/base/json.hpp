/// A small streaming JSON writer: two-space indentation, UTF-8 kept as it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dm {

/// Appends `text` as a JSON string with its quotes; invalid UTF-8 bytes become U+FFFD.
void json_quote(std::string& out, std::string_view text);

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{', '}'); }
  JsonWriter& begin_array() { return open('[', ']'); }
  JsonWriter& end();                                       ///< closes the innermost object or array
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::int64_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(std::uint64_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  JsonWriter& raw(std::string_view json);                  ///< a finished scalar
  std::string take() { return std::exchange(out_, {}); }   ///< what was written since the last call

 private:
  JsonWriter& open(char begin, char end);
  void before();
  std::string out_;
  std::vector<char> ends_;
  bool first_ = true;
  bool after_key_ = false;
};

}  // namespace dm

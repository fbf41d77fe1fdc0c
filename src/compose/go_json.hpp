/// JSON as Go's encoding/json writes a service of compose-go: compact, fields in the order of its structs, `<`, `>` and `&` escaped.
/// Compose hashes these bytes, so each of them counts. Internal to the module.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dm::compose {

/// The interface of JsonWriter.
class GoJsonWriter {
 public:
  GoJsonWriter& begin_object() { return open('{', '}'); }
  GoJsonWriter& begin_array() { return open('[', ']'); }
  GoJsonWriter& end();
  GoJsonWriter& key(std::string_view name);
  GoJsonWriter& value(std::string_view text);
  GoJsonWriter& value(std::int64_t number) { return raw(std::to_string(number)); }
  GoJsonWriter& value(std::uint64_t number) { return raw(std::to_string(number)); }
  GoJsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  GoJsonWriter& null() { return raw("null"); }
  GoJsonWriter& raw(std::string_view json);
  std::string take() { return std::move(out_); }

 private:
  GoJsonWriter& open(char begin, char end);
  void before();
  std::string out_;
  std::vector<char> ends_;
  bool first_ = true;
};

/// The place of a field in the struct that stands under the key `holder` ("/networks": an item of that section); what is in no struct
/// has no order but its own.
std::size_t go_rank(std::string_view holder, std::string_view field);

}  // namespace dm::compose

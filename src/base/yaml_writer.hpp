/// A streaming writer of block-style YAML with the interface of JsonWriter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dm {

/// Appends `text` as a YAML scalar that every YAML 1.1 and 1.2 reader takes for this string. Texts of several lines become
/// a literal block below `indent` columns where they can.
void yaml_scalar(std::string& out, std::string_view text, std::size_t indent);

class YamlWriter {
 public:
  YamlWriter& begin_object() { return open(true); }
  YamlWriter& begin_array() { return open(false); }
  YamlWriter& end();                                       ///< closes the innermost object or array
  YamlWriter& key(std::string_view name);
  YamlWriter& value(std::string_view text);
  YamlWriter& value(const char* text) { return value(std::string_view(text)); }
  YamlWriter& value(std::int64_t number) { return raw(std::to_string(number)); }
  YamlWriter& value(std::uint64_t number) { return raw(std::to_string(number)); }
  YamlWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  YamlWriter& null() { return raw("null"); }
  YamlWriter& raw(std::string_view scalar);                ///< a finished scalar
  std::string take() { return std::move(out_); }           ///< ends in a line end

 private:
  struct Level {
    bool mapping = true;
    bool empty = true;
    std::size_t indent = 0;
  };
  YamlWriter& open(bool mapping);
  void item();       ///< begins a line for the next item of a sequence
  std::string out_;
  std::vector<Level> levels_;
  bool after_key_ = false;     ///< "key:" is written, its value not yet
  bool after_dash_ = false;    ///< "- " is written, nothing after it yet
};

}  // namespace dm

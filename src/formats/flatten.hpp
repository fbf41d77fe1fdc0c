/// What the readers of settings share. Internal to the module.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/settings.hpp"

namespace dm::formats {

inline constexpr std::size_t kMaxSettingDepth = 100;

/// Collects settings, and refuses to grow far beyond the text: deep long keys would multiply it.
class Collector {
 public:
  explicit Collector(std::string_view text) : text_(text), budget_((64UL << 10U) + 32 * text.size()) {}

  void add(std::string key, std::string value, std::size_t begin, std::size_t end);
  /// Keeps the first error.
  void error(std::size_t at, std::string_view message);
  bool failed() const { return !error_.empty(); }
  Result<std::vector<Setting>> take();

 private:
  std::string_view text_;
  std::size_t budget_;
  std::vector<Setting> settings_;
  std::string error_;
};

/// `outer` and `name` with a dot between, where both are given.
std::string join_key(std::string_view outer, std::string_view name);
/// Appends a code point as UTF-8; U+FFFD for what is none.
void append_utf8(std::string& out, std::uint32_t code);

Result<std::vector<Setting>> read_yaml_settings(std::string_view text);
Result<std::vector<Setting>> read_toml_settings(std::string_view text);
Result<std::vector<Setting>> read_ini_settings(std::string_view text);
Result<std::vector<Setting>> read_xml_settings(std::string_view text);
Result<std::vector<Setting>> read_nginx_settings(std::string_view text);
Result<std::vector<Setting>> read_caddyfile_settings(std::string_view text);

}  // namespace dm::formats

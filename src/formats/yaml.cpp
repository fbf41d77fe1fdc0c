#include "formats/yaml.hpp"

#include <fmt/format.h>
#include <yaml.h>

namespace dm::formats {
namespace {

constexpr int kMaxDepth = 100;

class Reader {
 public:
  explicit Reader(std::string_view text) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() {
    clear();
    yaml_parser_delete(&parser_);
  }

  Result<YamlNode> read() {
    YamlNode root;
    while (next()) {
      if (event_.type == YAML_STREAM_END_EVENT) break;
      if (event_.type != YAML_DOCUMENT_START_EVENT) continue;
      if (next()) root = node(0);
      break;
    }
    if (!error_.empty()) return fail(Errc::invalid_input, error_);
    return root;
  }

 private:
  void clear() {
    if (have_) yaml_event_delete(&event_);
    have_ = false;
  }

  bool next() {
    clear();
    if (!error_.empty()) return false;
    if (yaml_parser_parse(&parser_, &event_) == 0) {
      error_ = fmt::format("line {}: {}", parser_.problem_mark.line + 1, parser_.problem != nullptr ? parser_.problem : "not valid YAML");
      return false;
    }
    return have_ = true;
  }

  YamlNode node(int depth) {  // NOLINT(misc-no-recursion): bounded
    YamlNode out;
    out.line = event_.start_mark.line + 1;
    out.where = {static_cast<std::uint32_t>(event_.start_mark.index), static_cast<std::uint32_t>(event_.end_mark.index)};
    if (depth > kMaxDepth || event_.type == YAML_ALIAS_EVENT) {
      error_ = fmt::format("line {}: {}", out.line, depth > kMaxDepth ? "nested too deeply" : "aliases are not read here");
      return out;
    }
    if (event_.type == YAML_SCALAR_EVENT) {
      out.text.assign(reinterpret_cast<const char*>(event_.data.scalar.value), event_.data.scalar.length);
      out.quoted = event_.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else if (event_.type == YAML_SEQUENCE_START_EVENT) {
      out.kind = YamlNode::Kind::sequence;
      while (next() && event_.type != YAML_SEQUENCE_END_EVENT) out.items.push_back(node(depth + 1));
    } else if (event_.type == YAML_MAPPING_START_EVENT) {
      out.kind = YamlNode::Kind::mapping;
      while (next() && event_.type != YAML_MAPPING_END_EVENT) {
        YamlNode key = node(depth + 1);
        if (!next()) break;
        YamlNode value = node(depth + 1);
        out.entries.push_back({std::move(key.text), std::move(value)});
      }
    }
    return out;
  }

  yaml_parser_t parser_{};
  yaml_event_t event_{};
  bool have_ = false;
  std::string error_;
};

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return &value;
  return nullptr;
}

Result<YamlNode> parse_yaml(std::string_view text) { return Reader(text).read(); }

}  // namespace dm::formats

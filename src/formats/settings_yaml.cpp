#include <yaml.h>

#include <algorithm>

#include "formats/flatten.hpp"

namespace dm::formats {
namespace {

/// libyaml counts code points; its marks only grow, so one walk over the text turns them into bytes.
class Bytes {
 public:
  explicit Bytes(std::string_view text) : text_(text) {}
  std::size_t at(std::size_t code_points) {
    if (code_points < seen_) seen_ = byte_ = 0;
    for (; seen_ < code_points && byte_ < text_.size(); ++seen_) {
      ++byte_;
      while (byte_ < text_.size() && (static_cast<unsigned char>(text_[byte_]) & 0xC0U) == 0x80U) ++byte_;
    }
    return byte_;
  }

 private:
  std::string_view text_;
  std::size_t seen_ = 0;
  std::size_t byte_ = 0;
};

class YamlSettings {
 public:
  explicit YamlSettings(std::string_view text)
      : out_(text), base_(text.starts_with("\xEF\xBB\xBF") ? 3 : 0), text_(text.substr(base_)), bytes_(text_) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text_.data()), text_.size());
  }
  YamlSettings(const YamlSettings&) = delete;
  YamlSettings& operator=(const YamlSettings&) = delete;
  ~YamlSettings() { yaml_parser_delete(&parser_); }

  Result<std::vector<Setting>> read() {
    for (bool going = true; going && !out_.failed();) {
      yaml_event_t event;
      if (yaml_parser_parse(&parser_, &event) == 0) {
        out_.error(base_ + bytes_.at(parser_.problem_mark.index),
                   parser_.problem != nullptr ? parser_.problem : "not valid YAML");
        break;
      }
      going = event.type != YAML_STREAM_END_EVENT;
      take(event);
      yaml_event_delete(&event);
    }
    return out_.take();
  }

 private:
  struct Frame {
    bool mapping = false;
    bool at_key = true;       ///< of a mapping: the next node is a key
    std::size_t outer = 0;    ///< size of the path without this frame's own part
    std::size_t index = 0;    ///< of a sequence
    bool inside_key = false;  ///< everything below is part of a key that is no scalar: left out
  };

  bool skipping() const { return !frames_.empty() && frames_.back().inside_key; }

  /// Puts the name of the next node on the path; false if the node is a key itself.
  bool step_in() {
    if (frames_.empty()) return true;
    Frame& frame = frames_.back();
    if (frame.mapping) return !frame.at_key;
    path_.resize(frame.outer);
    part(std::to_string(frame.index++));
    return true;
  }

  void part(std::string_view name) {
    if (!path_.empty()) path_ += '.';
    path_ += name;
  }

  void value_done() {
    if (!frames_.empty() && frames_.back().mapping) frames_.back().at_key = !frames_.back().at_key;
  }

  void take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_SCALAR_EVENT: scalar(event); break;
      case YAML_ALIAS_EVENT:
        if (!step_in()) name_key("*");
        value_done();
        break;
      case YAML_SEQUENCE_START_EVENT:
      case YAML_MAPPING_START_EVENT: {
        if (frames_.size() >= kMaxSettingDepth) {
          out_.error(base_ + bytes_.at(event.start_mark.index), "nested too deeply");
          break;
        }
        const bool in_value = step_in();
        if (!in_value) name_key("?");
        frames_.push_back({event.type == YAML_MAPPING_START_EVENT, true, path_.size(), 0, skipping() || !in_value});
        break;
      }
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        path_.resize(std::min(path_.size(), frames_.back().outer));
        frames_.pop_back();
        value_done();
        break;
      case YAML_NO_EVENT:
      case YAML_STREAM_START_EVENT:
      case YAML_STREAM_END_EVENT:
      case YAML_DOCUMENT_START_EVENT:
      case YAML_DOCUMENT_END_EVENT: path_.clear(); break;
    }
  }

  void name_key(std::string_view name) {
    path_.resize(frames_.back().outer);
    part(name);
  }

  void scalar(const yaml_event_t& event) {
    const std::string_view text(reinterpret_cast<const char*>(event.data.scalar.value), event.data.scalar.length);
    if (!step_in()) {
      name_key(text);
    } else if (!skipping()) {
      const auto begin = bytes_.at(event.start_mark.index);
      const auto end = std::max(begin, bytes_.at(event.end_mark.index));
      out_.add(path_, std::string(text), base_ + begin, base_ + end);
    }
    value_done();
  }

  Collector out_;
  std::size_t base_;
  std::string_view text_;
  Bytes bytes_;
  yaml_parser_t parser_{};
  std::vector<Frame> frames_;
  std::string path_;
};

}  // namespace

Result<std::vector<Setting>> read_yaml_settings(std::string_view text) { return YamlSettings(text).read(); }

}  // namespace dm::formats

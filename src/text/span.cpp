#include "text/span.hpp"

#include <algorithm>

namespace dm::text {

LineIndex::LineIndex(std::string_view text) {
  begins_.push_back(0);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\n' && text[i] != '\r') continue;
    ends_.push_back(static_cast<std::uint32_t>(i));
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    begins_.push_back(static_cast<std::uint32_t>(i + 1));
  }
  ends_.push_back(static_cast<std::uint32_t>(text.size()));
}

Position LineIndex::position(std::string_view text, std::uint32_t offset) const {
  offset = std::min(offset, static_cast<std::uint32_t>(text.size()));
  const auto after = std::upper_bound(begins_.begin(), begins_.end(), offset);
  const auto line = static_cast<std::size_t>(after - begins_.begin());  // begins_[0] is 0, so line >= 1
  const auto head = text.substr(begins_[line - 1], offset - begins_[line - 1]);
  const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
  return {line, 1 + static_cast<std::size_t>(std::count_if(head.begin(), head.end(), is_start))};
}

std::size_t LineIndex::number(std::uint32_t offset) const {
  return static_cast<std::size_t>(std::upper_bound(begins_.begin(), begins_.end(), offset) - begins_.begin());
}

Span LineIndex::line(std::size_t number) const {
  if (number == 0 || number > begins_.size()) return {};
  return {begins_[number - 1], ends_[number - 1]};
}

}  // namespace dm::text

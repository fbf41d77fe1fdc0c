#include "text/span.hpp"

#include <algorithm>

namespace dm::text {
namespace {

constexpr std::uint32_t kBlock = 4096;

std::size_t count(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

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
  const auto begin = begins_[line - 1];
  // Counting from the start of a line of megabytes for each of its findings would take a minute.
  const auto before = offset - begin <= kBlock ? count(text.substr(begin, offset - begin)) : code_points_before(text, offset) - code_points_before(text, begin);
  return {line, 1 + before};
}

std::size_t LineIndex::code_points_before(std::string_view text, std::uint32_t offset) const {
  if (code_points_.empty()) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at <= text.size(); at += kBlock) {
      code_points_.push_back(sum);
      sum += static_cast<std::uint32_t>(count(text.substr(at, kBlock)));
    }
  }
  const auto block = offset / kBlock;
  return code_points_[block] + count(text.substr(std::size_t{block} * kBlock, offset - block * kBlock));
}

std::size_t LineIndex::number(std::uint32_t offset) const {
  return static_cast<std::size_t>(std::upper_bound(begins_.begin(), begins_.end(), offset) - begins_.begin());
}

Span LineIndex::line(std::size_t number) const {
  if (number == 0 || number > begins_.size()) return {};
  return {begins_[number - 1], ends_[number - 1]};
}

}  // namespace dm::text

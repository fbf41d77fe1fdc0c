// One member taken out of the text of a YAML, JSON or INI file.
#include <fmt/format.h>

#include <algorithm>

#include "secrets/sops.hpp"
#include "text/edit.hpp"

namespace dm::secrets {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

/// The lines on which the leaf stands, from the begin of its key's line.
Result<text::Span> whole_lines(std::string_view source, const Leaf& leaf) {
  const auto before = leaf.where.begin == 0 ? std::string_view::npos : source.rfind('\n', leaf.where.begin - 1);
  const auto begin = before == std::string_view::npos ? 0 : before + 1;
  const auto key = source.substr(begin, leaf.where.begin - begin);
  const auto first = key.find_first_not_of(" \t");
  // "- a: 1" begins an element, and a value below its key or beside others is no line of its own.
  if (leaf.in_flow || first == std::string_view::npos || key[first] == '-' || key.find_first_of(":=") == std::string_view::npos)
    return fail(Errc::unsupported, fmt::format("line {}: it stands on no line of its own; take it out with 'datamancy secrets edit'", leaf.line));
  auto end = static_cast<std::size_t>(leaf.where.end);
  if (end == 0 || source[end - 1] != '\n') end = std::min(std::min(source.find('\n', end), source.size()) + 1, source.size());
  return text::Span{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

/// A member of a JSON object with one comma.
Result<text::Span> member(std::string_view source, const Leaf& leaf) {
  auto begin = source.find_last_not_of(kSpace, leaf.where.begin - 1);
  if (begin == std::string_view::npos || source[begin] != ':') return fail(Errc::unsupported, fmt::format("line {}: it is an element of a list; take it out with 'datamancy secrets edit'", leaf.line));
  begin = source.rfind('"', begin);  // the end of its key
  do {
    begin = source.rfind('"', begin - 1);
  } while (begin > 0 && source[begin - 1] == '\\');
  const auto last = source.find_last_not_of(kSpace, begin - 1);
  if (source[last] == ',') return text::Span{static_cast<std::uint32_t>(last), leaf.where.end};
  const auto next = source.find_first_not_of(kSpace, leaf.where.end);
  return text::Span{static_cast<std::uint32_t>(last + 1), static_cast<std::uint32_t>(source[next] == ',' ? next + 1 : leaf.where.end)};
}

}  // namespace

Result<Document> without_member(const Document& plain, std::size_t index) {
  const auto& leaf = plain.leaves.at(index);
  DM_TRY(const auto where, plain.store == Store::json ? member(plain.source, leaf) : whole_lines(plain.source, leaf));
  DM_TRY(const auto text, text::apply(plain.source, {{where, ""}}));
  DM_TRY(auto out, parse_plain(text, plain.store));
  bool same = out.leaves.size() + 1 == plain.leaves.size();
  for (std::size_t i = 0; same && i < out.leaves.size(); ++i) {
    const auto& other = plain.leaves[i < index ? i : i + 1];
    same = out.leaves[i].path == other.path && out.leaves[i].text == other.text;
  }
  if (!same) return fail(Errc::unsupported, fmt::format("line {}: it cannot be taken out without touching others; use 'datamancy secrets edit'", leaf.line));
  out.sops = plain.sops;
  return out;
}

}  // namespace dm::secrets

/// The stack's fragments, read as lines: they are written in one style, and what is copied out of them keeps its comments.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dm::scaffold {

using Lines = std::vector<std::string>;

Lines lines_of(std::string_view text);
std::size_t indent_of(std::string_view line);
/// The line without its indentation.
std::string_view word_of(std::string_view line);
std::string replaced(std::string text, std::string_view from, std::string_view to);
/// The lines below the line `head`, as far as they are indented deeper than it.
Lines block(std::string_view text, std::string_view head);
/// What is below `key:` in these lines: the rest of its line, or the deeper lines after it.
Lines below(const Lines& lines, std::string_view key);
bool has(const Lines& lines, std::string_view key);
/// Names in a list, flow or block, or keys of a block map; an entry that is a map gives its source.
std::set<std::string> names_in(const Lines& list);

/// A block of a fragment that services share: `x-name: &anchor` and what is below it.
struct Shared {
  std::string head;
  Lines lines, anchors;
  bool wanted = false;
};

/// All but the two that each fragment has.
std::vector<Shared> shared_blocks(std::string_view fragment);
bool refers(const Lines& lines, const Shared& shared);

}  // namespace dm::scaffold

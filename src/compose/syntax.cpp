#include "compose/syntax.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::compose {
namespace {

std::size_t line_begin(std::string_view text, std::size_t at) {
  const auto before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  return before == std::string_view::npos ? 0 : before + 1;
}

std::string_view line_of(std::string_view text, std::size_t at) {
  const auto begin = line_begin(text, std::min(at, text.size()));
  return text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
}

std::size_t line_number(std::string_view text, std::size_t at) {
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(at, text.size())), '\n'));
}

std::size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }

bool blank_or_comment(std::string_view line) {
  const auto first = line.find_first_not_of(" \t\r");
  return first == std::string_view::npos || line[first] == '#';
}

/// The last line before `at`'s that has content; empty for none.
std::string_view line_above(std::string_view text, std::size_t at) {
  for (auto begin = line_begin(text, at); begin > 0;) {
    begin = line_begin(text, begin - 1);
    const auto line = line_of(text, begin);
    if (!blank_or_comment(line)) return line;
  }
  return {};
}

std::string trimmed(std::string_view line) {
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  const auto end = line.find_last_not_of(" \t\r");
  auto out = line.substr(begin, end + 1 - begin);
  const auto colon = out.find(": ");  // the key is enough, and a value may be a secret
  return std::string(colon != std::string_view::npos ? out.substr(0, colon + 1) : out.substr(0, 40));
}

}  // namespace

Explanation explain(const SyntaxError& error, std::string_view text) {
  const auto at = std::min(error.at, text.size());
  const auto line = line_of(text, at);
  const auto says = [&](std::string_view part) { return error.problem.find(part) != std::string_view::npos; };
  const auto doing = [&](std::string_view part) { return error.context.find(part) != std::string_view::npos; };
  const auto indentation = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
  if (const auto tab = indentation.find('\t'); tab != std::string_view::npos && (says("cannot start any token") || says("tab character") || says("expected")))
    return {line_begin(text, at) + tab, "a tab in the indentation", "YAML is indented with spaces, not tabs"};
  if (error.quote_end > 0 && line_number(text, error.quote_end) == line_number(text, at))
    return {error.quote_begin, fmt::format("the quote that opens here closes only in line {}", line_number(text, error.quote_end)),
            "close it on its own line; or, if the text should go on, look at what follows the closing quote"};
  if (doing("quoted scalar") && says("end of stream")) return {error.context_at, "the quote that opens here is never closed", "close it"};
  if (doing("quoted scalar") && says("escape"))
    return {at, "unknown escape character in a double-quoted text", "write \\\\ for a backslash, or use single quotes"};
  if ((doing("flow sequence") || doing("flow mapping")) && says("expected")) {
    const bool list = doing("sequence");
    return {error.context_at, fmt::format("the '{}' that opens here is not closed: something else stands in line {}", list ? '[' : '{', line_number(text, at)),
            list ? "items are divided by ',' and the list ends with ']'" : "entries are divided by ',' and the mapping ends with '}'"};
  }
  if (says("cannot start any token") && at < text.size() && text[at] != '\t')
    return {at, fmt::format("a value cannot begin with '{}'", text[at]), "quote the value"};
  if (doing("alias") || doing("anchor"))
    return {error.context_at, doing("alias") ? "'*' begins an alias, but no name follows" : "'&' begins an anchor, but no name follows", "quote the value, if the character belongs to it"};
  if (says("mapping values are not allowed")) {
    const auto above = line_above(text, at);
    const auto before = line.substr(0, at - line_begin(text, at));
    if (before.find(": ") != std::string_view::npos) return {at, "a second ': ' in one line", "quote the value, so that its ':' is text"};
    if (!above.empty() && indent_of(line) > indent_of(above))
      return {line_begin(text, at) + indent_of(line), fmt::format("this line is indented deeper than '{}' above it, which has a value already", trimmed(above)),
              fmt::format("indent it by {} spaces, as the line above", indent_of(above))};
    return {at, "a ':' where no key can stand", "quote the text before it, or check the indentation"};
  }
  if (says("unexpected ':'")) return {at, "a ':' at the end of a value between brackets", "quote the value"};
  if (says("did not find expected key") || says("expected '-' indicator") || says("expected <block end>") || says("could not find expected ':'"))
    return {says("could not find") ? error.context_at : at,
            says("could not find") ? "a line that is neither `key: value` nor part of the value above" : "the indentation of this line fits none of the lines above it",
            says("could not find") ? "write `key: value`; there is a space after the ':'" : "give it as many spaces as the keys it belongs to"};
  std::string message(error.problem.empty() ? std::string_view("not valid YAML") : error.problem);
  if (!error.context.empty()) message = fmt::format("{}, {}", error.context, message);
  return {at, std::move(message), "check indentation and quotes here"};
}

}  // namespace dm::compose

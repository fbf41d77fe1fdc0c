#include "templates/template.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "templates/filters.hpp"

namespace dm::templates {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool name_like(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) && std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// One placeholder's inside; what stands for it is appended to `out`. Gives the trouble, "" where there is none.
std::string place(std::string_view inside, const Lookup& lookup, Rendered& out) {
  auto rest = inside;
  const auto next = [&rest] {
    const auto bar = std::min(rest.find('|'), rest.size());
    const auto part = trimmed(rest.substr(0, bar));
    rest = bar == rest.size() ? std::string_view() : rest.substr(bar + 1);
    return part;
  };
  const bool dangling = trimmed(inside).ends_with('|');
  const auto name = next();
  if (!name_like(name)) return fmt::format("'{}' is no name of a variable; write @@{{ for the two characters themselves", name);
  if (dangling) return "a filter is missing after '|'";
  std::vector<const Filter*> chain;
  bool optional = false;
  while (!rest.empty()) {
    const auto word = next();
    if (word == "optional" && chain.empty()) {
      optional = true;
      continue;
    }
    if (word == "optional") return std::string("'optional' comes first, as in @{NAME | optional | yaml}");
    const auto* filter = find_filter(word);
    if (filter == nullptr) {
      std::string known;
      for (const auto& one : filters()) known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
      return fmt::format("there is no filter '{}'; there are optional, {}", word, known);
    }
    chain.push_back(filter);
  }
  if (std::ranges::find(out.names, name) == out.names.end()) out.names.emplace_back(name);
  const auto value = lookup(name);
  if (!value) return fmt::format("variable {} is not declared", name);
  if (value->empty() && !optional) return fmt::format("variable {} is not set", name);
  if (chain.empty()) {
    if (!plain_value(*value)) return fmt::format("the value of {} has characters that some format takes for its own; name the format by a filter, as in @{{{} | yaml}}", name, name);
    out.text += *value;
    return {};
  }
  std::string text(*value);
  for (const auto* filter : chain) {
    auto done = filter->apply(text);
    std::ranges::fill(text, '\0');
    if (!done) return fmt::format("the value of {} cannot go through '{}': it {}", name, filter->name, done.error().message);
    text = *std::move(done);
  }
  out.text += text;
  std::ranges::fill(text, '\0');
  return {};
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Problem::describe() const { return fmt::format("{}:{}:{}: {}", file, line, column, message); }

Rendered render(std::string_view file, std::string_view text, const Lookup& lookup) {
  Rendered out;
  out.text.reserve(text.size() + 256);
  std::size_t line = 1, line_begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto rest = text.substr(i);
    if (rest.starts_with("@@{")) {
      out.text += "@{";
      i += 2;
    } else if (rest.starts_with("@{")) {
      const auto end = rest.find_first_of("}\n");
      std::string trouble;
      if (end == std::string_view::npos || rest[end] == '\n') {
        trouble = "this placeholder has no '}' on its line";
      } else {
        trouble = place(rest.substr(2, end - 2), lookup, out);
      }
      if (!trouble.empty()) out.problems.push_back({std::string(file), line, i - line_begin + 1, std::move(trouble)});
      i += end == std::string_view::npos ? rest.size() - 1 : rest[end] == '\n' ? end - 1 : end;
    } else {
      out.text += text[i];
      if (text[i] == '\n') {
        ++line;
        line_begin = i + 1;
      }
    }
  }
  return out;
}

std::string nearest(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const auto& one : known)
    if (const auto far = distance(name, one); far < least) least = far, best = one;
  return best;
}

}  // namespace dm::templates

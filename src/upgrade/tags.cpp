#include "upgrade/tags.hpp"

#include <algorithm>
#include <charconv>

#include "base/words.hpp"

namespace dm::upgrade {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

/// Words of a variant that make a version one that is not finished.
bool unfinished(std::string_view variant) {
  const auto lower = lowered(variant);
  return std::ranges::any_of(std::initializer_list<std::string_view>{"rc", "beta", "alpha", "dev", "nightly", "snapshot", "preview", "canary", "edge", "unstable", "test"}, [&](std::string_view word) {
    const auto at = lower.find(word);
    return at != std::string::npos && (word != "alpha" || lower.find("alphabet") == std::string::npos) && lower.find("alpine") != at;
  });
}

}  // namespace

std::optional<Tag> parse_tag(std::string_view text) {
  Tag out;
  out.text = text;
  std::size_t at = 0;
  while (at < text.size() && !digit(text[at])) ++at;
  if (at == text.size()) return std::nullopt;
  out.prefix = text.substr(0, at);
  if (out.prefix.size() > 1 && out.prefix.back() != '-') return std::nullopt;  // "sha256abc", "bookworm12": no version
  while (at < text.size()) {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    out.numbers.push_back(number);
    at = static_cast<std::size_t>(stop - text.data());
    if (at + 1 >= text.size() || text[at] != '.' || !digit(text[at + 1])) break;
    ++at;
  }
  out.variant = text.substr(at);
  if (!out.variant.empty() && out.variant[0] != '-' && out.variant[0] != '.' && out.variant[0] != '_' && out.variant[0] != '+' && !unfinished(out.variant)) return std::nullopt;  // "3a91f2"
  return out;
}

bool follows(const Tag& then, const Tag& now) {
  return then.prefix == now.prefix && then.variant == now.variant && then.numbers.size() == now.numbers.size();
}

bool newer(const Tag& then, const Tag& now) { return std::ranges::lexicographical_compare(then.numbers, now.numbers); }

std::string_view to_string(Step step) {
  switch (step) {
    case Step::same: return "same";
    case Step::patch: return "patch";
    case Step::minor: return "minor";
    case Step::major: return "major";
    case Step::older: return "older";
  }
  return "";
}

Step step_of(const Tag& then, const Tag& now) {
  const auto shared = std::min(then.numbers.size(), now.numbers.size());
  for (std::size_t i = 0; i < shared; ++i) {
    if (now.numbers[i] == then.numbers[i]) continue;
    if (now.numbers[i] < then.numbers[i]) return Step::older;
    return i == 0 ? Step::major : i == 1 ? Step::minor : Step::patch;
  }
  return then.numbers.size() == now.numbers.size() && then.variant == now.variant ? Step::same : Step::patch;
}

Candidates candidates(const Tag& now, const std::vector<std::string>& tags) {
  Candidates out;
  std::optional<Tag> within, newest;
  for (const auto& text : tags) {
    auto tag = parse_tag(text);
    if (!tag || !follows(now, *tag) || !newer(now, *tag)) continue;
    if (tag->numbers[0] >= 20000000 && now.numbers[0] < 20000000) continue;  // a date among versions
    if (tag->numbers[0] == now.numbers[0] && (!within || newer(*within, *tag))) within = tag;
    if (!newest || newer(*newest, *tag)) newest = std::move(tag);
  }
  if (within) out.within = within->text;
  if (newest) out.newest = newest->text;
  return out;
}

}  // namespace dm::upgrade

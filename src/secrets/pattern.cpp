#include "secrets/pattern.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace dm::secrets {

using Step = Pattern::Step;
using Kind = Pattern::Step::Kind;
using Range = Pattern::Range;

namespace {

constexpr char32_t kLast = 0x10ffff;
constexpr std::size_t kMaxSteps = 20'000;
constexpr unsigned kMaxRepeat = 1000;  // as RE2

/// One code point; a byte that is no UTF-8 stands for U+FFFD, as in Go.
char32_t take(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(at);
  const std::size_t size = first < 0x80 ? 1 : first >> 5U == 6 ? 2 : first >> 4U == 14 ? 3 : first >> 3U == 30 ? 4 : 0;
  if (size == 1) return ++at, first;
  char32_t out = size == 2 ? first & 31U : size == 3 ? first & 15U : first & 7U;
  for (std::size_t i = 1; i < size; ++i) {
    if (byte(at + i) >> 6U != 2) return ++at, 0xfffd;
    out = out << 6U | (byte(at + i) & 63U);
  }
  at += std::max<std::size_t>(size, 1);
  return size == 0 ? 0xfffd : out;
}

bool word_char(char32_t c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }

std::vector<Range> negated(std::vector<Range> ranges) {
  std::ranges::sort(ranges, {}, &Range::first);
  std::vector<Range> out;
  char32_t next = 0;
  for (const auto& range : ranges) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = std::max<char32_t>(next, range.last + 1);
  }
  if (next <= kLast) out.push_back({next, kLast});
  return out;
}

std::optional<std::vector<Range>> class_escape(char32_t c) {
  switch (c) {
    case 'd': return std::vector<Range>{{'0', '9'}};
    case 'D': return negated({{'0', '9'}});
    case 'w': return std::vector<Range>{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    case 'W': return negated({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
    case 's': return std::vector<Range>{{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};
    case 'S': return negated({{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}});
    default: return std::nullopt;
  }
}

struct Posix {
  std::string_view name;
  std::vector<Range> ranges;
};
const std::vector<Posix>& posix_classes() {
  static const std::vector<Posix> classes{{"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}}, {"alpha", {{'A', 'Z'}, {'a', 'z'}}}, {"digit", {{'0', '9'}}},
      {"lower", {{'a', 'z'}}}, {"upper", {{'A', 'Z'}}}, {"space", {{'\t', '\r'}, {' ', ' '}}}, {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
      {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}}, {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}}, {"blank", {{'\t', '\t'}, {' ', ' '}}},
      {"ascii", {{0, 127}}}, {"cntrl", {{0, 31}, {127, 127}}}, {"graph", {{'!', '~'}}}, {"print", {{' ', '~'}}}};
  return classes;
}

}  // namespace

/// Recursive descent; every piece is a list of steps with targets relative to its begin.
class PatternParser {
 public:
  explicit PatternParser(std::string_view text) : text_(text) {}

  Result<Pattern> parse() {
    auto steps = alternatives(0);
    if (ok() && at_ < text_.size()) error_ = Error{Errc::invalid_input, "a ')' too many", {}};
    if (!ok()) {
      error_->message = fmt::format("regular expression '{}': {}", text_, error_->message);
      return fail(*error_);
    }
    Pattern out;
    out.steps_ = std::move(steps);
    out.steps_.push_back({});
    return out;
  }

 private:
  using Steps = std::vector<Step>;
  struct Flags {
    bool fold = false, multi = false, dot_all = false, ungreedy = false;
  };

  bool ok() const { return !error_; }
  bool more() const { return ok() && at_ < text_.size(); }
  char peek() const { return text_[at_]; }
  Steps wrong(std::string what, Errc code = Errc::invalid_input) {
    if (ok()) error_ = Error{code, std::move(what), {}};
    return {};
  }

  static void append(Steps& to, const Steps& from) {
    const auto base = to.size();
    for (auto step : from) {
      step.to += base;
      step.other += base;
      to.push_back(std::move(step));
    }
  }
  Steps sized(Steps steps) {
    if (steps.size() > kMaxSteps) return wrong("too large");
    return steps;
  }

  Steps alternatives(int depth) {
    if (depth > 200) return wrong("too deep");
    const auto flags = flags_;
    auto left = sequence(depth);
    while (more() && peek() == '|') {
      ++at_;
      const auto right = sequence(depth);
      Steps both{{Kind::split, {}, 1, left.size() + 2}};
      append(both, left);
      both.push_back({Kind::jump, {}, left.size() + 2 + right.size(), 0});
      append(both, right);
      left = sized(std::move(both));
    }
    flags_ = flags;
    return left;
  }

  Steps sequence(int depth) {
    Steps out;
    while (more() && peek() != '|' && peek() != ')') {
      auto one = atom(depth);
      while (more()) {
        unsigned least = 0, most = 0;
        if (!repetition(least, most)) break;
        one = repeated(one, least, most);
      }
      append(out, one);
      out = sized(std::move(out));
    }
    return out;
  }

  static constexpr unsigned kUnbounded = ~0U;
  bool repetition(unsigned& least, unsigned& most) {
    const char c = peek();
    if (c == '*') least = 0, most = kUnbounded;
    else if (c == '+') least = 1, most = kUnbounded;
    else if (c == '?') least = 0, most = 1;
    else if (c == '{') {
      auto i = at_ + 1;
      const auto number = [&]() -> std::optional<unsigned> {
        const auto begin = i;
        unsigned value = 0;
        for (; i < text_.size() && text_[i] >= '0' && text_[i] <= '9'; ++i) value = std::min(value * 10 + static_cast<unsigned>(text_[i] - '0'), 100'000U);
        return i == begin ? std::nullopt : std::optional(value);
      };
      const auto first = number();
      if (!first || i >= text_.size()) return false;  // a literal brace
      least = most = *first;
      if (text_[i] == ',') {
        ++i;
        const auto second = number();
        most = second ? *second : kUnbounded;
      }
      if (i >= text_.size() || text_[i] != '}') return false;
      if (least > kMaxRepeat || (most != kUnbounded && (most > kMaxRepeat || most < least))) return wrong("invalid repeat count"), false;
      at_ = i;
    } else return false;
    ++at_;
    if (more() && peek() == '?') ++at_;  // greedy or not: for a search without captures the same
    return true;
  }

  Steps repeated(const Steps& one, unsigned least, unsigned most) {
    Steps out;
    for (unsigned i = 0; i < least && out.size() <= kMaxSteps; ++i) append(out, one);
    if (most == kUnbounded) {
      Steps loop{{Kind::split, {}, 1, one.size() + 2}};
      append(loop, one);
      loop.push_back({Kind::jump, {}, 0, 0});
      append(out, loop);
    } else {
      for (unsigned i = least; i < most && out.size() <= kMaxSteps; ++i) {
        Steps maybe{{Kind::split, {}, 1, one.size() + 1}};
        append(maybe, one);
        append(out, maybe);
      }
    }
    return sized(std::move(out));
  }

  Steps set(std::vector<Range> ranges) const {
    if (flags_.fold) {
      const auto count = ranges.size();
      for (std::size_t i = 0; i < count; ++i) {
        for (const auto& [low, high, shift] : {std::tuple{U'a', U'z', -32}, std::tuple{U'A', U'Z', 32}}) {
          const auto first = std::max(ranges[i].first, low), last = std::min(ranges[i].last, high);
          if (first <= last) ranges.push_back({static_cast<char32_t>(static_cast<int>(first) + shift), static_cast<char32_t>(static_cast<int>(last) + shift)});
        }
      }
    }
    return {{Kind::set, std::move(ranges), 1, 0}};
  }

  Steps atom(int depth) {
    const char c = peek();
    switch (c) {
      case '(': return group(depth);
      case '[': return bracket();
      case '.':
        ++at_;
        return {{Kind::set, flags_.dot_all ? std::vector<Range>{{0, kLast}} : negated({{'\n', '\n'}}), 1, 0}};
      case '^': return ++at_, Steps{{flags_.multi ? Kind::line_begin : Kind::text_begin, {}, 1, 0}};
      case '$': return ++at_, Steps{{flags_.multi ? Kind::line_end : Kind::text_end, {}, 1, 0}};
      case '*':
      case '+':
      case '?': return wrong(fmt::format("nothing before '{}'", c));
      case '\\': return escape();
      default: {
        const auto point = take(text_, at_);
        return set({{point, point}});
      }
    }
  }

  Steps group(int depth) {
    ++at_;
    const auto outer = flags_;
    if (text_.substr(at_).starts_with("?P<") || text_.substr(at_).starts_with("?<")) {
      const auto end = text_.find('>', at_);
      if (end == std::string_view::npos) return wrong("a group's name has no end");
      at_ = end + 1;
    } else if (more() && peek() == '?') {
      bool on = true;
      for (++at_; more() && peek() != ':' && peek() != ')'; ++at_) {
        switch (peek()) {
          case '-': on = false; break;
          case 'i': flags_.fold = on; break;
          case 'm': flags_.multi = on; break;
          case 's': flags_.dot_all = on; break;
          case 'U': flags_.ungreedy = on; break;
          default: return wrong(fmt::format("unknown group '(?{}'", peek()));
        }
      }
      if (!more()) return wrong("a group has no end");
      if (peek() == ')') return ++at_, Steps{};  // the flags hold for the rest of the group around
      ++at_;
    }
    auto inner = alternatives(depth + 1);
    if (ok() && at_ >= text_.size()) return wrong("a group has no end");
    ++at_;
    flags_ = outer;
    return inner;
  }

  /// After a backslash: one code point; nothing after an error.
  std::optional<char32_t> escaped_point() {
    if (at_ >= text_.size()) return wrong("a backslash at the end"), std::nullopt;
    const auto c = take(text_, at_);
    switch (c) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'f': return '\f';
      case 'v': return '\v';
      case 'a': return '\a';
      case 'x': {
        const bool braced = at_ < text_.size() && text_[at_] == '{';
        if (braced) ++at_;
        char32_t value = 0;
        std::size_t digits = 0;
        for (; at_ < text_.size() && digits < (braced ? 8U : 2U); ++digits, ++at_) {
          const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(text_[at_] | 0x20));
          if (digit == std::string_view::npos) break;
          value = value * 16 + static_cast<char32_t>(digit);
        }
        if (digits == 0 || value > kLast || (braced ? at_ >= text_.size() || text_[at_] != '}' : digits != 2)) return wrong("a malformed \\x"), std::nullopt;
        if (braced) ++at_;
        return value;
      }
      default:
        if (c == 'p' || c == 'P' || c == 'Q') return wrong(fmt::format("'\\{}' is not supported", static_cast<char>(c)), Errc::unsupported), std::nullopt;
        if (word_char(c)) return wrong(fmt::format("unknown escape '\\{}'", static_cast<char>(c))), std::nullopt;
        return c;
    }
  }

  Steps escape() {
    ++at_;
    if (at_ >= text_.size()) return wrong("a backslash at the end");
    switch (text_[at_]) {
      case 'b': return ++at_, Steps{{Kind::word, {}, 1, 0}};
      case 'B': return ++at_, Steps{{Kind::not_word, {}, 1, 0}};
      case 'A': return ++at_, Steps{{Kind::text_begin, {}, 1, 0}};
      case 'z': return ++at_, Steps{{Kind::text_end, {}, 1, 0}};
      default: break;
    }
    if (auto ranges = class_escape(static_cast<unsigned char>(text_[at_]))) return ++at_, set(*ranges);
    const auto point = escaped_point();
    return point ? set({{*point, *point}}) : Steps{};
  }

  Steps bracket() {
    ++at_;
    const bool negative = more() && peek() == '^';
    if (negative) ++at_;
    std::vector<Range> ranges;
    for (bool first = true;; first = false) {
      if (!more()) return wrong("a '[' has no end");
      if (peek() == ']' && !first) break;
      if (text_.substr(at_).starts_with("[:")) {
        auto name = text_.substr(at_ + 2, std::min(text_.find(":]", at_), text_.size()) - at_ - 2);
        at_ += name.size() + 4;
        const bool no = name.starts_with('^');
        if (no) name.remove_prefix(1);
        const auto known = std::ranges::find(posix_classes(), name, &Posix::name);
        if (known == posix_classes().end()) return wrong("an unknown class");
        const auto& members = no ? negated(known->ranges) : known->ranges;
        ranges.insert(ranges.end(), members.begin(), members.end());
        continue;
      }
      if (peek() == '\\' && at_ + 1 < text_.size()) {
        if (const auto members = class_escape(static_cast<unsigned char>(text_[at_ + 1]))) {
          ranges.insert(ranges.end(), members->begin(), members->end());
          at_ += 2;
          continue;
        }
      }
      const auto low = bracket_point();
      if (!low) return {};
      auto high = low;
      if (at_ + 1 < text_.size() && peek() == '-' && text_[at_ + 1] != ']') {
        ++at_;
        high = bracket_point();
        if (!high) return {};
        if (*high < *low) return wrong("a range runs backwards");
      }
      ranges.push_back({*low, *high});
    }
    ++at_;
    if (!negative) return set(std::move(ranges));
    return {{Kind::set, negated(set(std::move(ranges))[0].ranges), 1, 0}};
  }
  std::optional<char32_t> bracket_point() {
    if (!more()) return wrong("a '[' has no end"), std::nullopt;
    if (peek() != '\\') return take(text_, at_);
    ++at_;
    return escaped_point();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Flags flags_;
  std::optional<Error> error_;
};

Result<Pattern> Pattern::compile(std::string_view expression) {
  if (expression.size() > 10'000) return fail(Errc::invalid_input, "a regular expression of more than 10,000 bytes");
  return PatternParser(expression).parse();
}

bool Pattern::search(std::string_view text) const {
  std::vector<std::size_t> now, next, pending;
  std::vector<std::size_t> seen(steps_.size(), 0);  // the position + 1 at which a step was last added
  bool matched = false;
  const auto add = [&](std::vector<std::size_t>& to, std::size_t start, std::size_t mark, std::optional<char32_t> before, std::optional<char32_t> after) {
    pending.push_back(start);
    const bool edge = (before && word_char(*before)) != (after && word_char(*after));
    while (!pending.empty()) {
      const auto i = pending.back();
      pending.pop_back();
      if (seen[i] == mark) continue;
      seen[i] = mark;
      const auto& step = steps_[i];
      const auto when = [&](bool holds) {
        if (holds) pending.push_back(step.to);
      };
      switch (step.kind) {
        case Kind::set: to.push_back(i); break;
        case Kind::split:
          pending.push_back(step.other);
          pending.push_back(step.to);
          break;
        case Kind::jump: pending.push_back(step.to); break;
        case Kind::text_begin: when(!before); break;
        case Kind::text_end: when(!after); break;
        case Kind::line_begin: when(!before || *before == '\n'); break;
        case Kind::line_end: when(!after || *after == '\n'); break;
        case Kind::word: when(edge); break;
        case Kind::not_word: when(!edge); break;
        case Kind::match: matched = true; break;
      }
    }
  };
  std::optional<char32_t> before;
  std::size_t at = 0, mark = 0;
  for (;;) {
    auto after_at = at;
    std::optional<char32_t> after;
    if (at < text.size()) after = take(text, after_at);
    // Threads that survived the last character wait in `now` as targets; a new one starts here.
    next.clear();
    ++mark;
    for (const auto target : now) add(next, target, mark, before, after);
    add(next, 0, mark, before, after);
    if (matched) return true;
    if (!after) return false;
    now.clear();
    for (const auto i : next)
      for (const auto& range : steps_[i].ranges)
        if (*after >= range.first && *after <= range.last) {
          now.push_back(steps_[i].to);
          break;
        }
    before = after;
    at = after_at;
  }
}

}  // namespace dm::secrets

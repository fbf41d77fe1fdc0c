#include "compose/scalars.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace dm::compose {
namespace {

std::string without_underscores(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != '_') out += c;
  return out;
}

/// Reads small numbers and the characters between them, from the front.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Up to `most` digits, at least `least`; -1 where there are fewer.
  int number(std::size_t least, std::size_t most) {
    std::size_t n = 0;
    int out = 0;
    while (n < most && n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') out = out * 10 + (rest_[n++] - '0');
    if (n < least) return -1;
    rest_.remove_prefix(n);
    return out;
  }
  std::string_view digits() {
    const auto n = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    const auto out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }

 private:
  std::string_view rest_;
};

int days_in(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

}  // namespace

bool resolve_scalar(std::string_view text, Value& value) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    value.kind = Kind::null;
    return true;
  }
  if (text == "true" || text == "True" || text == "TRUE" || text == "false" || text == "False" || text == "FALSE") {
    value.kind = Kind::boolean;
    value.boolean = text[0] == 't' || text[0] == 'T';
    return true;
  }
  const char first = text[0];
  if (!((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.')) return false;
  const auto real = [&](double number) {
    value.kind = Kind::real;
    value.real = number;
    return true;
  };
  if (text == ".inf" || text == ".Inf" || text == ".INF" || text == "+.inf" || text == "+.Inf" || text == "+.INF")
    return real(HUGE_VAL);
  if (text == "-.inf" || text == "-.Inf" || text == "-.INF") return real(-HUGE_VAL);
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return real(NAN);
  const std::string plain = without_underscores(text);
  std::string_view number = plain;
  bool negative = false;
  if (number.starts_with('-') || number.starts_with('+')) {
    negative = number[0] == '-';
    number.remove_prefix(1);
  }
  int base = 10;
  std::string_view digits = number;
  if (number.starts_with("0x") || number.starts_with("0X")) base = 16, digits.remove_prefix(2);
  else if (number.starts_with("0b") || number.starts_with("0B")) base = 2, digits.remove_prefix(2);
  else if (number.starts_with("0o") || number.starts_with("0O")) base = 8, digits.remove_prefix(2);
  else if (number.size() > 1 && number[0] == '0') base = 8, digits.remove_prefix(1);
  const char* end = digits.data() + digits.size();
  std::uint64_t whole = 0;
  if (const auto [stop, error] = std::from_chars(digits.data(), end, whole, base);
      !digits.empty() && error == std::errc() && stop == end) {
    if (whole <= (negative ? 1ULL << 63U : ~0ULL >> 1U)) {
      value.kind = Kind::integer;
      value.integer = static_cast<std::int64_t>(negative ? 0 - whole : whole);
      return true;
    }
    if (!negative) {  // between 2^63 and 2^64: kept as text of an exact integer
      value.kind = Kind::real;
      value.real = static_cast<double>(whole);
      return true;
    }
  }
  // [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
  std::size_t i = 0;
  std::size_t seen = 0;
  const auto run = [&] {
    while (i < number.size() && number[i] >= '0' && number[i] <= '9') ++i, ++seen;
  };
  run();
  if (i < number.size() && number[i] == '.') ++i, run();
  if (seen == 0) return false;
  if (i < number.size() && (number[i] == 'e' || number[i] == 'E')) {
    ++i;
    if (i < number.size() && (number[i] == '+' || number[i] == '-')) ++i;
    seen = 0;
    run();
    if (seen == 0) return false;
  }
  if (i != number.size()) return false;
  double parsed = 0;
  const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), parsed);
  if (error == std::errc::result_out_of_range) {
    parsed = std::strtod(std::string(number).c_str(), nullptr);
    if (std::isinf(parsed)) return false;  // 1e400 stays text; 1e-400 is 0
  } else if (error != std::errc()) {
    return false;
  }
  return real(negative ? -parsed : parsed);
}

std::optional<std::string> time_of(std::string_view text) {
  Cursor at(text);
  const int year = at.number(4, 4);
  if (year < 0 || !at.take('-')) return std::nullopt;
  const int month = at.number(1, 2);
  if (month < 1 || month > 12 || !at.take('-')) return std::nullopt;
  const int day = at.number(1, 2);
  if (day < 1 || day > days_in(year, month)) return std::nullopt;
  if (at.done()) return fmt::format("{:04}-{:02}-{:02}T00:00:00Z", year, month, day);
  const bool zoned = at.take('T') || at.take('t');
  if (!zoned && !at.take(' ')) return std::nullopt;
  const int hour = at.number(1, 2);
  if (hour < 0 || hour > 23 || !at.take(':')) return std::nullopt;
  const int minute = at.number(1, 2);
  if (minute < 0 || minute > 59 || !at.take(':')) return std::nullopt;
  const int second = at.number(1, 2);
  if (second < 0 || second > 59) return std::nullopt;
  auto out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", year, month, day, hour, minute, second);
  if (at.take('.') || at.take(',')) {
    auto fraction = at.digits();
    if (fraction.empty() || fraction.size() > 9) return std::nullopt;
    while (fraction.ends_with('0')) fraction.remove_suffix(1);
    if (!fraction.empty()) out += fmt::format(".{}", fraction);
  }
  if (!zoned || at.take('Z')) return at.done() ? std::optional(out + "Z") : std::nullopt;
  const char sign = at.take('+') ? '+' : at.take('-') ? '-' : ' ';
  const int hours = sign == ' ' ? -1 : at.number(2, 2);
  if (hours < 0 || hours > 24 || !at.take(':')) return std::nullopt;
  const int minutes = at.number(2, 2);
  if (minutes < 0 || minutes > 60 || !at.done()) return std::nullopt;
  return hours == 0 && minutes == 0 ? out + "Z" : fmt::format("{}{}{:02}:{:02}", out, sign, hours, minutes);
}

}  // namespace dm::compose

#include "compose/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace dm::compose {

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number >= 0)) return std::nullopt;  // also "nan"
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  std::string unit;
  for (const char c : text) unit += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  constexpr std::string_view kPrefixes = "kmgtp";
  double factor = 1;
  if (!unit.empty() && unit != "b") {
    const auto power = kPrefixes.find(unit[0]);
    const auto rest = std::string_view(unit).substr(1);
    if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib")) return std::nullopt;
    factor = std::pow(1024.0, static_cast<double>(power + 1));
  }
  number *= factor;
  if (number >= 9.2e18) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  struct Unit {
    std::string_view name;
    double nanoseconds;
  };
  constexpr std::array<Unit, 9> kUnits{{{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9},
                                        {"h", 3600e9}, {"d", 86400e9}, {"w", 604800e9}}};
  double total = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || !(number >= 0)) return std::nullopt;  // also "nan"
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    std::size_t length = 0;
    while (length < text.size() && !(text[length] >= '0' && text[length] <= '9') && text[length] != '.') ++length;
    const auto name = text.substr(0, length);
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits)
      if (candidate.name == name) unit = &candidate;
    if (unit == nullptr) return std::nullopt;
    total += number * unit->nanoseconds;
    text.remove_prefix(length);
  }
  if (total > 9.2e18) return std::nullopt;
  const auto nanoseconds = static_cast<std::int64_t>(std::llround(total));
  return std::chrono::nanoseconds(negative ? -nanoseconds : nanoseconds);
}

std::string format_duration(std::chrono::nanoseconds value) {
  auto n = value.count();
  if (n == 0) return "0s";
  const std::string sign = n < 0 ? "-" : "";
  if (n < 0) n = -n;
  const auto fraction = [](std::int64_t whole, std::int64_t rest, int digits) {
    std::string text = fmt::format("{}", whole);
    if (rest == 0) return text;
    auto part = fmt::format("{:0{}}", rest, digits);
    while (part.ends_with('0')) part.pop_back();
    return text + "." + part;
  };
  if (n < 1000) return fmt::format("{}{}ns", sign, n);
  if (n < 1'000'000) return sign + fraction(n / 1000, n % 1000, 3) + "µs";
  if (n < 1'000'000'000) return sign + fraction(n / 1'000'000, n % 1'000'000, 6) + "ms";
  const auto seconds = n / 1'000'000'000;
  const auto tail = fraction(seconds % 60, n % 1'000'000'000, 9) + "s";
  if (seconds < 60) return sign + tail;
  if (seconds < 3600) return fmt::format("{}{}m{}", sign, seconds / 60, tail);
  return fmt::format("{}{}h{}m{}", sign, seconds / 3600, seconds / 60 % 60, tail);
}

std::string format_real(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (std::isnan(value)) return "NaN";
  if (value == 0) return "0";
  const double size = std::abs(value);
  std::array<char, 400> text{};
  const auto form = size < 1e-6 || size >= 1e21 ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, form).ptr;
  return {text.data(), end};
}

std::string format_plain(double value) {
  if (!std::isfinite(value) || value == 0) return format_real(value);
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific).ptr;
  const std::string_view digits(text.data(), static_cast<std::size_t>(end - text.data()));
  int exponent = 0;
  auto from = digits.find('e') + 1;
  if (digits[from] == '+') ++from;
  std::from_chars(digits.data() + from, end, exponent);
  if (exponent < -4 || exponent >= 6) return std::string(digits);
  return format_real(value);
}

std::optional<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  std::size_t count = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    const auto digit = kDigits.find(c);
    if (c == '=') ++padding;
    else if (digit == std::string_view::npos || padding > 0) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(c == '=' ? 0 : digit);
    if (++count % 4 != 0) continue;
    for (const auto shift : {16U, 8U, 0U}) out += static_cast<char>(bits >> shift & 0xFFU);
    bits = 0;
  }
  if (count % 4 != 0 || padding > 2) return std::nullopt;
  out.resize(out.size() - padding);
  return out;
}

std::optional<std::vector<std::string>> split_command(std::string_view text) {
  enum class In : std::uint8_t { plain, single, twofold, back, dollar };
  std::vector<std::string> out;
  std::string word;
  In in = In::plain;
  bool have = false;
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && in != In::single) {
      if (++i == text.size()) return std::nullopt;
      word += text[i];
      have = true;
      continue;
    }
    if (is_space(c) && in == In::plain) {
      if (have) out.push_back(std::move(word));
      word.clear();
      have = false;
      continue;
    }
    if ((c == '"' && (in == In::plain || in == In::twofold)) || (c == '\'' && (in == In::plain || in == In::single))) {
      in = in != In::plain ? In::plain : c == '"' ? In::twofold : In::single;
      have = true;
      continue;
    }
    if (c == '`' && (in == In::plain || in == In::back)) {
      in = in == In::back ? In::plain : In::back;
    } else if (c == ')' && (in == In::plain || in == In::dollar)) {
      if (in == In::plain) return std::nullopt;
      in = In::plain;
    } else if (c == '(' && (in == In::plain || in == In::dollar)) {
      if (in == In::dollar || !word.ends_with('$')) return std::nullopt;
      in = In::dollar;
    } else if (in == In::plain && std::string_view(";&|<>").find(c) != std::string_view::npos) {
      if (c == '>' && !word.empty() && word[0] >= '0' && word[0] <= '9') have = false;  // the 2 of `2>` is no argument
      break;
    }
    word += c;
    have = true;
  }
  if (in != In::plain) return std::nullopt;
  if (have) out.push_back(std::move(word));
  return out;
}

}  // namespace dm::compose

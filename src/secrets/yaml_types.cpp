#include "secrets/yaml_types.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "secrets/sops_nested.hpp"

namespace dm::secrets {
namespace {

bool digits(std::string_view text) { return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }); }

std::optional<std::string> integer(std::string_view text) {
  std::string plain;
  for (const char c : text)
    if (c != '_') plain += c;
  std::string_view rest = plain;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  int base = 10;
  if (rest.starts_with("0x")) base = 16, rest.remove_prefix(2);
  else if (rest.starts_with("0o")) base = 8, rest.remove_prefix(2);
  else if (rest.starts_with("0b")) base = 2, rest.remove_prefix(2);
  else if (rest.size() > 1 && rest[0] == '0') base = 8;
  std::uint64_t value = 0;
  const auto* end = rest.data() + rest.size();
  const auto got = std::from_chars(rest.data(), end, value, base);
  if (rest.empty() || got.ec != std::errc{} || got.ptr != end) return std::nullopt;
  return fmt::format("{}{}", negative && value != 0 ? "-" : "", value);
}

std::optional<double> real(std::string_view text) {
  std::string plain;
  for (const char c : text)
    if (c != '_') plain += c;
  std::string_view rest = plain;
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == ".inf" || rest == ".Inf" || rest == ".INF") return plain[0] == '-' ? -HUGE_VAL : HUGE_VAL;
  if (plain == ".nan" || plain == ".NaN" || plain == ".NAN") return std::strtod("nan", nullptr);
  std::size_t i = 0, before = 0, after = 0;
  for (; i < rest.size() && rest[i] >= '0' && rest[i] <= '9'; ++i) ++before;
  if (i < rest.size() && rest[i] == '.')
    for (++i; i < rest.size() && rest[i] >= '0' && rest[i] <= '9'; ++i) ++after;
  if (before + after == 0) return std::nullopt;
  if (i < rest.size() && (rest[i] == 'e' || rest[i] == 'E')) {
    ++i;
    if (i < rest.size() && (rest[i] == '-' || rest[i] == '+')) ++i;
    if (!digits(rest.substr(i))) return std::nullopt;
    i = rest.size();
  }
  if (i != rest.size()) return std::nullopt;
  return std::strtod(plain.c_str(), nullptr);
}

/// 2024-01-02, 2024-1-2 3:04:05[.6], with T or a space and an optional zone; given as RFC 3339.
std::optional<std::string> time_of(std::string_view text) {
  std::size_t at = 0;
  const auto number = [&](std::size_t least, std::size_t most) -> std::optional<int> {
    const auto begin = at;
    while (at < text.size() && at - begin < most && text[at] >= '0' && text[at] <= '9') ++at;
    if (at - begin < least) return std::nullopt;
    return std::atoi(std::string(text.substr(begin, at - begin)).c_str());
  };
  const auto take = [&](std::string_view any) { return at < text.size() && any.find(text[at]) != std::string_view::npos ? (++at, true) : false; };
  const auto year = number(4, 4);
  if (!year || !take("-")) return std::nullopt;
  const auto month = number(1, 2);
  if (!month || !take("-")) return std::nullopt;
  const auto day = number(1, 2);
  if (!day || *month < 1 || *month > 12 || *day < 1 || *day > 31) return std::nullopt;
  if (at == text.size()) return fmt::format("{:04}-{:02}-{:02}T00:00:00Z", *year, *month, *day);
  if (!take("Tt ")) return std::nullopt;
  while (take(" ")) {}
  const auto hour = number(1, 2);
  if (!hour || !take(":")) return std::nullopt;
  const auto minute = number(1, 2);
  if (!minute || !take(":")) return std::nullopt;
  const auto second = number(1, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  std::string fraction;
  if (take(".")) {
    const auto begin = at;
    if (!number(1, 9)) return std::nullopt;
    fraction = text.substr(begin, at - begin);
    while (fraction.ends_with('0')) fraction.pop_back();
  }
  std::string zone = "Z";
  if (at < text.size() && !take("Z")) {
    zone = text.substr(at);
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
    if (zone.substr(1) == "00:00") zone = "Z";
  } else if (at != text.size()) {
    return std::nullopt;
  }
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}{}", *year, *month, *day, *hour, *minute, *second, fraction.empty() ? "" : ".", fraction, zone);
}

}  // namespace

YamlTyped yaml_type(std::string_view scalar) {
  for (const auto* null : {"", "~", "null", "Null", "NULL"})
    if (scalar == null) return {true, LeafType::str, {}};
  for (const auto* truth : {"true", "True", "TRUE"})
    if (scalar == truth) return {false, LeafType::boolean, "True"};
  for (const auto* falsehood : {"false", "False", "FALSE"})
    if (scalar == falsehood) return {false, LeafType::boolean, "False"};
  const char first = scalar[0];
  if ((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.') {
    if (auto time = time_of(scalar)) return {false, LeafType::time, *time};
    if (auto whole = integer(scalar)) return {false, LeafType::integer, *whole};
    if (const auto number = real(scalar)) return {false, LeafType::floating, float_text(*number)};
  }
  return {false, LeafType::str, std::string(scalar)};
}

}  // namespace dm::secrets

/// Numbers with units and command strings, as Compose reads and prints them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dm::compose {

/// "1.5g", "512 MB", "100" -> bytes; k is 1024 with or without b or ib. Nothing where malformed.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
/// Go durations plus d and w: "1m30s", "1d", "100µs", "0". Nothing where malformed.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
/// As Go prints it: 1m30s, 24h0m0s, 1.5s, 100µs, 0s.
std::string format_duration(std::chrono::nanoseconds value);
/// As Go's encoder prints a float: 1, 0.5, 1e+08.
std::string format_real(double value);
/// As Go prints a float inside a string (an environment value): 1000, 1.5, 1.234567e+06, 1e-05.
std::string format_plain(double value);
/// The bytes of `!!binary`. Nothing where malformed.
std::optional<std::string> decode_base64(std::string_view text);
/// Splits a command string as Compose does: quotes, backslashes, `$(...)` and backticks kept as one word, cut at an
/// unquoted ; & | < >. Nothing where a quote or a bracket is open.
std::optional<std::vector<std::string>> split_command(std::string_view text);

}  // namespace dm::compose

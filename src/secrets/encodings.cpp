// Base64 and Bech32: pure text.
#include <array>
#include <cstdint>
#include <vector>

#include "secrets/crypto.hpp"

namespace dm::secrets {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

constexpr std::array<signed char, 256> reversed(std::string_view alphabet) {
  std::array<signed char, 256> table{};
  for (auto& entry : table) entry = -1;
  for (std::size_t i = 0; i < alphabet.size(); ++i) table[static_cast<unsigned char>(alphabet[i])] = static_cast<signed char>(i);
  return table;
}
constexpr auto kUnbase64 = reversed(kBase64);
constexpr auto kUnbech32 = reversed(kBech32);

std::uint32_t polymod_step(std::uint32_t sum, unsigned value) {
  static constexpr std::array<std::uint32_t, 5> kGenerator{0x3b6a57b2U, 0x26508e6dU, 0x1ea119faU, 0x3d4233ddU, 0x2a1462b3U};
  const auto top = sum >> 25U;
  sum = (sum & 0x1ffffffU) << 5U ^ value;
  for (unsigned i = 0; i < 5; ++i)
    if ((top >> i & 1U) != 0) sum ^= kGenerator[i];
  return sum;
}
std::uint32_t polymod_of(std::string_view hrp) {
  std::uint32_t sum = 1;
  for (const char c : hrp) sum = polymod_step(sum, static_cast<unsigned char>(c) >> 5U);
  sum = polymod_step(sum, 0);
  for (const char c : hrp) sum = polymod_step(sum, static_cast<unsigned char>(c) & 31U);
  return sum;
}

}  // namespace

std::string base64(std::string_view bytes, bool padded) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8U | (k < left ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k <= left; ++k) out += kBase64[group >> (18U - 6U * k) & 63U];
    if (padded) out.append(3 - left, '=');
  }
  return out;
}

std::optional<std::string> unbase64(std::string_view text, bool padded) {
  if (padded) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto value = kUnbase64[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    group = group << 6U | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(group >> bits & 255U);
    }
  }
  if ((group & ((1U << bits) - 1U)) != 0) return std::nullopt;  // only the canonical spelling
  return out;
}

std::string bech32(std::string_view hrp, std::string_view bytes) {
  std::string out(hrp);
  out += '1';
  auto sum = polymod_of(hrp);
  const auto put = [&](unsigned value) {
    out += kBech32[value];
    sum = polymod_step(sum, value);
  };
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    group = group << 8U | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 5;) {
      bits -= 5;
      put(group >> bits & 31U);
    }
  }
  if (bits > 0) put(group << (5U - bits) & 31U);
  for (int i = 0; i < 6; ++i) sum = polymod_step(sum, 0);
  sum ^= 1U;
  for (unsigned i = 0; i < 6; ++i) out += kBech32[sum >> (5U * (5U - i)) & 31U];
  return out;
}

std::optional<Bech32> unbech32(std::string_view text) {
  const auto cut = text.rfind('1');
  if (cut == std::string_view::npos || cut == 0 || text.size() - cut < 7) return std::nullopt;
  bool lower = false, upper = false;
  SecretString folded;
  folded.reserve(text.size());
  for (const char c : text) {
    if (c < 33 || c > 126) return std::nullopt;
    lower |= c >= 'a' && c <= 'z';
    upper |= c >= 'A' && c <= 'Z';
    folded.append(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  if (lower && upper) return std::nullopt;
  Bech32 out;
  out.hrp = folded.reveal().substr(0, cut);
  auto sum = polymod_of(out.hrp);
  const auto data = folded.reveal().substr(cut + 1);
  out.bytes.reserve(data.size());
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto value = kUnbech32[static_cast<unsigned char>(data[i])];
    if (value < 0) return std::nullopt;
    sum = polymod_step(sum, static_cast<unsigned>(value));
    if (i + 6 >= data.size()) continue;  // the checksum
    group = group << 5U | static_cast<std::uint32_t>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.bytes.append(static_cast<char>(group >> bits & 255U));
    }
  }
  if (sum != 1 || bits >= 5 || (group & ((1U << bits) - 1U)) != 0) return std::nullopt;
  return out;
}

}  // namespace dm::secrets

#include "audit/addresses.hpp"

#include <charconv>

namespace dm::audit {

std::optional<std::uint32_t> ipv4(std::string_view text) {
  std::uint32_t out = 0;
  const char* at = text.data();
  const char* end = at + text.size();
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && (at == end || *at++ != '.')) return std::nullopt;
    std::uint32_t number = 0;
    const auto read = std::from_chars(at, end, number);
    if (read.ec != std::errc() || number > 255) return std::nullopt;
    at = read.ptr;
    out = out << 8U | number;
  }
  if (at != end) return std::nullopt;
  return out;
}

std::vector<Subnet> subnets(const compose::Network& network) {
  std::vector<Subnet> out;
  const auto* config = network.node->at({"ipam", "config"});
  if (config == nullptr || !config->is_sequence()) return out;
  for (const auto* item : *config->items) {
    const auto* subnet = item->is_mapping() ? item->find("subnet") : nullptr;
    if (subnet == nullptr) continue;
    const auto text = subnet->string();
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) continue;
    const auto base = ipv4(text.substr(0, slash));
    unsigned bits = 0;
    const auto length = text.substr(slash + 1);
    if (!base || std::from_chars(length.data(), length.data() + length.size(), bits).ec != std::errc() || bits > 32) continue;
    const auto mask = bits == 0 ? 0U : ~0U << (32U - bits);
    out.push_back({*base & mask, mask, text, subnet->where});
  }
  return out;
}

}  // namespace dm::audit

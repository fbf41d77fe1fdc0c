#include "compose/ports.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

namespace dm::compose {
namespace {

struct Range {
  std::uint32_t first = 0, last = 0;
  std::uint32_t size() const { return last - first + 1; }
};

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size() || value > 65535) return std::nullopt;
  return value;
}

std::optional<Range> range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return Range{*first, *last};
}

}  // namespace

bool valid_address(std::string_view text) {
  const std::string address(text.substr(0, text.find('%')));
  in6_addr room{};
  return ::inet_pton(AF_INET, address.c_str(), &room) == 1 || ::inet_pton(AF_INET6, address.c_str(), &room) == 1;
}

std::optional<std::vector<ShortPort>> parse_port(std::string_view text) {
  ShortPort port;
  port.protocol = "tcp";
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    port.protocol = text.substr(slash + 1);
    for (char& c : port.protocol)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (port.protocol != "tcp" && port.protocol != "udp" && port.protocol != "sctp") return std::nullopt;
    text = text.substr(0, slash);
  }
  std::string_view container = text;
  std::string_view host;
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    container = text.substr(colon + 1);
    host = text.substr(0, colon);
    if (const auto before = host.rfind(':'); before != std::string_view::npos) {
      auto address = host.substr(0, before);
      if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
      else if (address.find(':') != std::string_view::npos) return std::nullopt;
      port.host_ip = address;
      host = host.substr(before + 1);
      if (!address.empty() && !valid_address(address)) return std::nullopt;
    }
  }
  const auto target = range(container);
  if (!target || target->first == 0) return std::nullopt;
  std::vector<ShortPort> out;
  if (host.empty()) {
    for (auto at = target->first; at <= target->last; ++at) {
      port.target = at;
      out.push_back(port);
    }
    return out;
  }
  const auto published = range(host);
  if (!published) return std::nullopt;
  if (published->size() != target->size()) {
    if (target->size() != 1) return std::nullopt;
    port.target = target->first;
    port.published = host;
    out.push_back(port);
    return out;
  }
  for (std::uint32_t i = 0; i < target->size(); ++i) {
    port.target = target->first + i;
    port.published = fmt::format("{}", published->first + i);
    out.push_back(port);
  }
  return out;
}

}  // namespace dm::compose

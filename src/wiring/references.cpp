#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

struct Host {
  std::string_view host, scheme;
  std::optional<std::uint16_t> port;
  bool firm = false;
};

bool host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || stop == text.data() || port == 0) return std::nullopt;
  if (stop != text.data() + text.size() && host_char(*stop)) return std::nullopt;
  return port;
}

/// "host" or "host:port" at the start of `text`, ended by anything that no host has.
std::optional<Host> authority(std::string_view text, std::string_view scheme) {
  std::size_t end = 0;
  while (end < text.size() && host_char(text[end])) ++end;
  if (end == 0) return std::nullopt;
  Host out{text.substr(0, end), scheme, std::nullopt, true};
  if (end < text.size() && text[end] == ':') out.port = port_of(text.substr(end + 1));
  return out;
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  return std::ranges::any_of(endings, [&](std::string_view ending) { return name.ends_with(ending); });
}

/// The hosts in a value: of its URLs, else of the value as a whole where the variable's name says that it is a host.
std::vector<Host> hosts_in(std::string_view name, std::string_view value) {
  std::vector<Host> out;
  for (std::size_t at = value.find("://"); at != std::string_view::npos; at = value.find("://", at + 3)) {
    std::size_t begin = at;
    while (begin > 0 && (host_char(value[begin - 1]) || value[begin - 1] == '+')) --begin;
    auto rest = value.substr(at + 3);
    const auto stop = std::min(rest.find_first_of("/?# \"',;|"), rest.size());
    if (const auto sign = rest.substr(0, stop).rfind('@'); sign != std::string_view::npos) rest.remove_prefix(sign + 1);
    if (auto host = authority(rest, value.substr(begin, at - begin)); host) out.push_back(*host);
  }
  if (!out.empty() || value.find('/') != std::string_view::npos || value.find(' ') != std::string_view::npos) return out;
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  if (!ends_with_any(upper, {"_HOST", "_HOSTNAME", "_SERVER", "_ADDR", "_ADDRESS"}) || ends_with_any(upper, {"VIRTUAL_HOST", "ALLOWED_HOST", "BIND_ADDRESS", "LISTEN_ADDRESS", "BIND_HOST", "LISTEN_HOST", "EMAIL_ADDRESS", "IP_ADDRESS", "MAIL_ADDRESS"}))
    return out;
  if (value.find('@') != std::string_view::npos || value.find(',') != std::string_view::npos) return out;
  if (auto host = authority(value, ""); host && host->host.size() + (host->port ? 6 : 0) + 1 >= value.size()) out.push_back(*host);
  return out;
}

class Finder {
 public:
  explicit Finder(Wiring& wiring) : wiring_(wiring) {
    for (std::size_t i = 0; i < wiring.names.size(); ++i) by_name_[wiring.names[i].name].push_back(i);
  }

  void run() {
    for (ServiceId id = 0; id < wiring_.project->services.size(); ++id) {
      for (const auto& variable : wiring_.service(id).environment) {
        if (!variable.value.node->is_string() || unset(*variable.value.node)) continue;
        for (const Host& host : hosts_in(variable.name, variable.value.value))
          add(id, host, Reference::Via::environment, std::string(variable.name), variable.value.node->where);
      }
      for (const auto& dependency : wiring_.service(id).depends_on) {
        if (dependency.condition == "service_completed_successfully") continue;
        const auto target = wiring_.id_of(dependency.service);
        if (target == kNone) continue;
        Reference reference;
        reference.from = id;
        reference.to = target;
        reference.host = dependency.service;
        reference.via = Reference::Via::depends_on;
        reference.key = "depends_on";
        reference.firm = false;
        reference.where = dependency.where;
        reference.outcome = wiring_.reachable(id, target) ? Reference::Outcome::reachable : Reference::Outcome::no_common_network;
        wiring_.references.push_back(std::move(reference));
      }
    }
  }

 private:
  /// A part of the value comes from a variable that has none: what it names is unknown.
  static bool unset(const compose::Value& value) {
    return value.segments != nullptr && std::ranges::any_of(*value.segments, [](const compose::Segment& segment) {
             return segment.kind == compose::Segment::Kind::variable && !segment.defined;
           });
  }

  void add(ServiceId from, const Host& host, Reference::Via via, std::string key, Location where) {
    Reference reference;
    reference.from = from;
    reference.host = host.host;
    reference.port = host.port;
    reference.scheme = host.scheme;
    reference.via = via;
    reference.key = std::move(key);
    reference.firm = host.firm;
    reference.where = where;
    resolve(reference, host.host);
    wiring_.references.push_back(std::move(reference));
  }

  void resolve(Reference& reference, std::string_view host) {
    using Outcome = Reference::Outcome;
    const Service& from = wiring_.service(reference.from);
    if (host == "localhost" || host == "127.0.0.1" || host == "0.0.0.0") {
      reference.outcome = Outcome::self;
      return;
    }
    if (host == "host.docker.internal" || from.network_mode.value == "host") {
      reference.outcome = Outcome::host;
      return;
    }
    if (const auto known = by_name_.find(host); known != by_name_.end()) {
      for (const auto index : known->second) {
        const DnsName& name = wiring_.names[index];
        reference.to = name.service;
        reference.outcome = name.service == reference.from ? Outcome::self : Outcome::no_common_network;
        if (reference.outcome == Outcome::self) return;
        for (const auto& use : from.networks) {
          if (use.network != name.network) continue;
          reference.outcome = Outcome::reachable;
          reference.network = name.network;
          if (reference.port) reference.port_listens = wiring_.listens(name.service, *reference.port);
          return;
        }
      }
      if (from.network_mode) reference.outcome = Outcome::external;  // service:x, none, container:x
      return;
    }
    const bool bare = host.find('.') == std::string_view::npos;
    const bool number = host.find_first_not_of("0123456789") == std::string_view::npos;
    const bool outside = std::ranges::any_of(from.networks, [&](const auto& use) {
      const auto* network = wiring_.project->network(use.network);
      return network != nullptr && network->external;
    });
    const bool listed = std::ranges::any_of(from.extra_hosts, [&](const auto& item) { return item.value.starts_with(host); });
    reference.outcome = bare && !number && !outside && !listed && !from.network_mode ? Outcome::unknown_name : Outcome::external;
  }

  Wiring& wiring_;
  std::unordered_map<std::string_view, std::vector<std::size_t>> by_name_;
};

}  // namespace

void find_references(Wiring& wiring) { Finder(wiring).run(); }

}  // namespace dm::wiring

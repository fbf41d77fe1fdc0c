#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "wiring/hosts.hpp"
#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

using Outcome = Reference::Outcome;
using Via = Reference::Via;

/// A part of the value that makes the host comes from a variable that has no value: what it names is unknown.
bool unknown_part(const compose::Value& value, std::string_view host) {
  if (value.segments == nullptr) return false;
  const bool inside = host.data() >= value.text.data() && host.data() + host.size() <= value.text.data() + value.text.size();
  const auto begin = inside ? static_cast<std::uint32_t>(host.data() - value.text.data()) : 0;
  const auto end = inside ? begin + static_cast<std::uint32_t>(host.size()) : 0xFFFFFFFFU;
  return std::ranges::any_of(*value.segments, [&](const compose::Segment& segment) {
    return segment.kind == compose::Segment::Kind::variable && !segment.defined && segment.begin <= end && segment.end >= begin;
  });
}

class Finder {
 public:
  explicit Finder(Wiring& wiring) : wiring_(wiring) {
    for (const auto& network : wiring.project->networks) networks_.emplace(network.key, &network);
    for (std::size_t i = 0; i < wiring.names.size(); ++i) {
      const DnsName& name = wiring.names[i];
      by_name_.emplace(name.name, i);
      on_network_.emplace(Key{identity(name.network), name.name}, i);
    }
  }

  void run() {
    for (ServiceId id = 0; id < wiring_.project->services.size(); ++id) {
      const Service& service = wiring_.service(id);
      environment(id, service);
      command(id, service);
      if (service.healthcheck && !service.healthcheck->disabled) words(id, service.healthcheck->test, Via::healthcheck, "healthcheck");
      labels(id, service);
      dependencies(id, service);
    }
    for (const ConfigText& text : config_texts(wiring_)) config(text);
  }

 private:
  struct Key {
    std::string_view network, name;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      const std::hash<std::string_view> hash;
      return hash(key.network) * 31 + hash(key.name);
    }
  };

  /// Two keys may be one network: its name on the engine, else the key.
  std::string_view identity(std::string_view key) const {
    const auto found = networks_.find(key);
    return found != networks_.end() && !found->second->name.empty() ? found->second->name : key;
  }

  void environment(ServiceId id, const Service& service) {
    for (const auto& variable : service.environment) {
      if (!variable.value.node->is_string()) continue;
      for (HostText host : hosts_in_value(variable.name, variable.value.value)) {
        if (!host.port && host.scheme.empty()) {
          const auto partner = port_partner(variable.name);
          if (const auto* port = partner.empty() ? nullptr : service.env(partner); port != nullptr) {
            host.port = port_number(port->value.value);
            // DB_HOST beside DB_PORT says: call there
            if (host.certainty == HostText::Certainty::perhaps && host.port && partner != "PORT") host.certainty = HostText::Certainty::surely;
          }
        }
        add(id, host, Via::environment, variable.name, *variable.value.node);
      }
    }
  }

  void command(ServiceId id, const Service& service) {
    std::vector<compose::Text> all = service.entrypoint;
    all.insert(all.end(), service.command.begin(), service.command.end());
    words(id, all, Via::command, "command");
  }

  void words(ServiceId id, const std::vector<compose::Text>& texts, Via via, std::string_view key) {
    std::vector<std::string_view> list;
    for (const auto& text : texts) list.push_back(text.value);
    for (const HostText& host : hosts_in_command(list)) {
      const auto owner = std::ranges::find_if(texts, [&](const compose::Text& text) {
        return host.host.data() >= text.value.data() && host.host.data() < text.value.data() + text.value.size();
      });
      if (owner != texts.end() && owner->node != nullptr) add(id, host, via, key, *owner->node);
    }
  }

  /// What a proxy is told about this very service: the port to call.
  void labels(ServiceId id, const Service& service) {
    for (const auto& [name, value] : service.labels) {
      if (value.node == nullptr || !name.starts_with("traefik.") || !name.ends_with(".loadbalancer.server.port")) continue;
      const auto port = port_number(value.value);
      if (!port) continue;
      Reference reference;
      reference.from = id;
      reference.to = id;
      reference.host = service.name;
      reference.port = port;
      reference.via = Via::label;
      reference.key = name;
      reference.outcome = Outcome::self;
      reference.port_listens = wiring_.listens(id, *port);
      reference.where = value.where();
      wiring_.references.push_back(std::move(reference));
    }
  }

  void dependencies(ServiceId id, const Service& service) {
    for (const auto& dependency : service.depends_on) {
      if (dependency.condition == "service_completed_successfully") continue;
      const auto target = wiring_.id_of(dependency.service);
      if (target == kNone) continue;
      Reference reference;
      reference.from = id;
      reference.to = target;
      reference.host = dependency.service;
      reference.via = Via::depends_on;
      reference.key = "depends_on";
      reference.firm = false;
      reference.where = dependency.where;
      reference.outcome = wiring_.reachable(id, target) ? Outcome::reachable : Outcome::no_common_network;
      wiring_.references.push_back(std::move(reference));
    }
  }

  void config(const ConfigText& text) {
    const auto content = std::string_view(wiring_.project->texts.at(text.file).content);
    for (const auto& found : text.hosts) {
      Reference reference = start(text.service, found.host, found.route ? Via::proxy_route : Via::config_file, found.key);
      const auto begin = static_cast<std::uint32_t>(found.host.host.data() - content.data());
      reference.where = {text.file, {begin, begin + static_cast<std::uint32_t>(found.host.host.size())}};
      finish(std::move(reference), found.host);
    }
  }

  static Reference start(ServiceId from, const HostText& host, Via via, std::string_view key) {
    Reference reference;
    reference.from = from;
    reference.host = host.host;
    reference.port = host.port;
    reference.scheme = host.scheme;
    reference.via = via;
    reference.key = key;
    return reference;
  }

  void add(ServiceId from, const HostText& host, Via via, std::string_view key, const compose::Value& node) {
    if (unknown_part(node, host.host)) return;
    Reference reference = start(from, host, via, key);
    reference.where = place(node, host.host);
    finish(std::move(reference), host);
  }

  /// Bytes of the host in the file. Where a value was decoded (escapes, folds, variables) they are searched for.
  Location place(const compose::Value& node, std::string_view host) const {
    if (!node.where) return node.where;
    const auto source = wiring_.project->texts.text(node.where);
    const auto at = [&](std::size_t offset) {
      Location out = node.where;
      out.span.begin += static_cast<std::uint32_t>(offset);
      out.span.end = out.span.begin + static_cast<std::uint32_t>(host.size());
      return out;
    };
    if (host.data() >= node.text.data() && host.data() < node.text.data() + node.text.size() && source.size() >= node.text.size()) {
      const auto offset = static_cast<std::size_t>(host.data() - node.text.data());
      for (std::size_t quote = 0; quote < 2; ++quote)
        if (source.substr(std::min(offset + quote, source.size())).starts_with(host)) return at(offset + quote);
    }
    const auto first = source.size() > 65536 ? std::string_view::npos : source.find(host);
    if (first == std::string_view::npos || source.find(host, first + 1) != std::string_view::npos) return node.where;
    return at(first);
  }

  void finish(Reference reference, const HostText& host) {
    using Certainty = HostText::Certainty;
    const bool known = resolve(reference);
    const bool fits = reference.outcome == Outcome::reachable && reference.port_listens != std::optional<bool>(false);
    if (host.certainty == Certainty::if_known) {
      if (!known || reference.outcome == Outcome::self || reference.port_listens == std::optional<bool>(false)) return;
      reference.firm = reference.outcome == Outcome::reachable && reference.port_listens == std::optional<bool>(true);
    } else if (host.certainty == Certainty::perhaps) {
      reference.firm = known && fits;
    }
    wiring_.references.push_back(std::move(reference));
  }

  /// The alias of another network is a name of the public DNS too ("mail.example.org"): from here that one answers.
  bool public_alias(const Service& from, const DnsName& name) const {
    if (name.origin != DnsName::Origin::alias || name.name.find('.') == std::string_view::npos) return false;
    for (const std::string_view local : {".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test"})
      if (name.name.ends_with(local)) return false;
    return std::ranges::any_of(from.networks, [&](const auto& use) {
      const auto network = networks_.find(use.network);
      return network == networks_.end() || !network->second->internal;
    });
  }

  /// Fills outcome, target, network and port_listens. True where a service of the project has the name.
  bool resolve(Reference& reference) {
    const std::string_view host = reference.host;
    const auto owner = namespace_owner(wiring_, reference.from);
    const Service& from = wiring_.service(owner);
    if (host == "localhost" || host.starts_with("127.") || host == "0.0.0.0" || host == "::1" || host == "::") {
      reference.outcome = Outcome::self;
      // A service that shares its network with others may mean any of them: no claim about the port.
      if (reference.via == Via::healthcheck && reference.port && owner == reference.from) {
        reference.to = reference.from;
        reference.port_listens = wiring_.listens(reference.from, *reference.port);
      }
      return false;
    }
    if (host == "host.docker.internal" || host == "host-gateway" || host == "gateway.docker.internal" || from.network_mode.value == "host") {
      reference.outcome = Outcome::host;
      return false;
    }
    if (listed(from, host)) {
      reference.outcome = Outcome::external;
      return false;
    }
    if (linked(from, host, reference)) return true;
    for (const auto& use : from.networks) {
      const auto found = on_network_.find(Key{identity(use.network), host});
      if (found == on_network_.end()) continue;
      const DnsName& name = wiring_.names[found->second];
      reference.network = name.network;
      reach(reference, name.service);
      return true;
    }
    if (from.network_mode) {  // none, bridge, container:x: nothing of the project answers there
      reference.outcome = Outcome::external;
      return false;
    }
    if (const auto known = by_name_.find(host); known != by_name_.end() && !public_alias(from, wiring_.names[known->second])) {
      const auto target = wiring_.names[known->second].service;
      const bool own = target == reference.from || target == owner;
      reference.outcome = own ? Outcome::self : off_with(reference.from, target) ? Outcome::inactive : Outcome::no_common_network;
      if (!own) reference.to = target;
      return true;
    }
    if (const auto target = wiring_.id_of(host); target != kNone) {  // it uses another's network: the name answers nowhere
      const bool shared = namespace_owner(wiring_, target) == owner;
      reference.outcome = target == reference.from || shared ? Outcome::self : Outcome::external;
      if (reference.outcome == Outcome::external && wiring_.service(target).network_mode.value == "none") {
        reference.outcome = Outcome::no_common_network;
        reference.to = target;
      }
      return true;
    }
    if (generated(host)) {
      reference.outcome = Outcome::external;  // PROJECT-SERVICE-1: it answers as long as the project keeps its name
      return false;
    }
    const bool bare = host.find('.') == std::string_view::npos && host.find(':') == std::string_view::npos;
    const bool outside = std::ranges::any_of(from.networks, [&](const auto& use) {
      const auto network = networks_.find(use.network);
      return network == networks_.end() || network->second->external;
    });
    const bool surely = bare && !outside && !from.networks.empty() && from.dns.empty() && !elsewhere(host);
    reference.outcome = surely ? Outcome::unknown_name : Outcome::external;
    return false;
  }

  void reach(Reference& reference, ServiceId target) const {
    if (target == reference.from) {
      reference.outcome = Outcome::self;
      return;
    }
    reference.to = target;
    reference.outcome = off_with(reference.from, target) ? Outcome::inactive : Outcome::reachable;
    if (!reference.port || reference.outcome != Outcome::reachable) return;
    // Another container may listen there in the target's network namespace: then only a yes is knowledge.
    const auto listens = wiring_.listens(target, *reference.port);
    reference.port_listens = listens == std::optional<bool>(false) && shared_.contains(target) ? std::nullopt : listens;
  }

  /// The target is off in this run, and no profile of `from` would switch it on.
  bool off_with(ServiceId from, ServiceId target) const {
    const Service& mine = wiring_.service(from);
    const Service& theirs = wiring_.service(target);
    if (theirs.enabled || theirs.profiles.empty()) return false;
    return std::ranges::none_of(mine.profiles, [&](const auto& profile) {
      return std::ranges::any_of(theirs.profiles, [&](const auto& other) { return other.value == profile.value; });
    });
  }

  /// A compose file of the same folder that was not loaded (compose.monitoring.yaml) may bring the name when it is given, too.
  bool elsewhere(std::string_view host) {
    if (!siblings_read_) {
      siblings_read_ = true;
      const auto& project = *wiring_.project;
      const auto& files = project.texts.files();
      for (const auto& name : files.list(project.folder)) {
        if (name.find("compose") == std::string::npos || !(name.ends_with(".yml") || name.ends_with(".yaml"))) continue;
        const auto path = sources::clean_path(name, project.folder);
        if (std::ranges::find(project.compose_files, path) != project.compose_files.end()) continue;
        if (auto text = files.read(path, 1U << 20U)) siblings_.push_back(*std::move(text));
        if (siblings_.size() >= kMostSiblings) break;
      }
      for (const auto& text : siblings_) keys(text);
    }
    return sibling_keys_.contains(host);
  }

  void keys(std::string_view text) {
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      auto line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      const auto indent = line.find_first_not_of(' ');
      if (indent == std::string_view::npos || indent == 0 || indent > 4) continue;
      line = line.substr(indent, line.find(':') - std::min(indent, line.find(':')));
      if (line.size() < 100) sibling_keys_.insert(line);
    }
  }

  bool generated(std::string_view host) const {
    const std::string_view project = wiring_.project->name;
    if (project.empty() || host.size() < project.size() + 4 || !host.starts_with(project)) return false;
    const auto rest = host.substr(project.size() + 1);
    const auto cut = rest.find_last_of("-_");
    return cut != std::string_view::npos && port_number(rest.substr(cut + 1)) && wiring_.id_of(rest.substr(0, cut)) != kNone;
  }

  static bool listed(const Service& from, std::string_view host) {
    return std::ranges::any_of(from.extra_hosts, [&](const auto& item) {
      return item.value.starts_with(host) && item.value.size() > host.size() && (item.value[host.size()] == ':' || item.value[host.size()] == '=');
    });
  }

  bool linked(const Service& from, std::string_view host, Reference& reference) const {
    if (from.node == nullptr) return false;
    const auto* links = from.node->find("links");
    if (links == nullptr || !links->is_sequence()) return false;
    for (const auto* item : *links->items) {
      const auto text = item->string();
      const auto colon = text.find(':');
      if (colon == std::string_view::npos || text.substr(colon + 1) != host) continue;
      const auto target = wiring_.id_of(text.substr(0, colon));
      if (target == kNone) continue;
      reach(reference, target);
      return true;
    }
    return false;
  }

  Wiring& wiring_;
  static constexpr std::size_t kMostSiblings = 32;
  bool siblings_read_ = false;
  std::vector<std::string> siblings_;
  std::unordered_set<std::string_view> sibling_keys_;
  std::unordered_map<std::string_view, const compose::Network*> networks_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::unordered_map<Key, std::size_t, KeyHash> on_network_;
  std::unordered_map<ServiceId, bool> shared_ = namespaces_shared(wiring_);  // services whose network others use
};

}  // namespace

ServiceId namespace_owner(const Wiring& wiring, ServiceId id) {
  for (int steps = 0; steps < 8; ++steps) {
    const auto mode = wiring.service(id).network_mode.value;
    if (!mode.starts_with("service:")) return id;
    const auto next = wiring.id_of(mode.substr(8));
    if (next == kNone || next == id) return id;
    id = next;
  }
  return id;
}

std::unordered_map<ServiceId, bool> namespaces_shared(const Wiring& wiring) {
  std::unordered_map<ServiceId, bool> out;
  for (ServiceId id = 0; id < wiring.project->services.size(); ++id)
    if (const auto owner = namespace_owner(wiring, id); owner != id) out[owner] = true;
  return out;
}

void find_references(Wiring& wiring) { Finder(wiring).run(); }

}  // namespace dm::wiring

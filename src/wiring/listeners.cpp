#include <algorithm>

#include "wiring/hosts.hpp"
#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

/// Configuration of the user's own may move any port: then the product's ports are no longer the whole truth.
bool own_configuration(const Service& service) {
  if (!service.configs.empty()) return true;
  return std::ranges::any_of(service.mounts, [](const compose::Mount& mount) {
    if (mount.type != compose::Mount::Type::bind || mount.target.find("initdb") != std::string_view::npos) return false;
    return mount.target.starts_with("/etc/") || mount.target.find("conf") != std::string_view::npos ||
           sources::file_name(mount.target).find('.') != std::string_view::npos;
  });
}

bool says_port(std::string_view name) {
  return name == "PORT" || name.ends_with("_PORT") || name.ends_with("__PORT") || name.ends_with("PORT_NUMBER");
}

}  // namespace

void find_listeners(Wiring& wiring) {
  for (ServiceId id = 0; id < wiring.project->services.size(); ++id) {
    const Service& service = wiring.service(id);
    // A database with one port, and nothing that moves it: what the file publishes besides is a mistake, not a port where it listens.
    std::uint16_t only = 0;
    if (const auto* product = wiring.product_of[id]; product != nullptr) {
      const bool changed = service.command_node != nullptr || service.entrypoint_node != nullptr || service.build != nullptr || own_configuration(service);
      for (const auto& fact : product->ports) {
        const auto* moved = fact.changed_by.empty() ? nullptr : service.env(fact.changed_by);
        const auto port = moved != nullptr ? port_number(moved->value.value) : std::nullopt;
        if (!changed && !product->datastore.empty() && product->ports.size() == 1 && moved == nullptr) only = fact.port;
        if (port) wiring.listeners.push_back({id, *port, fact.protocol, "environment " + fact.changed_by, !changed});
        else wiring.listeners.push_back({id, fact.port, fact.protocol, "product " + product->id, moved == nullptr && !changed});
      }
    }
    for (const auto& port : service.ports)
      if (port.target > 0 && port.target <= 0xFFFF && (only == 0 || port.target == only))
        wiring.listeners.push_back({id, static_cast<std::uint16_t>(port.target), std::string(port.protocol), "ports", false});
    for (const auto& item : service.expose) {
      const auto slash = std::min(item.value.find('/'), item.value.size());
      if (const auto port = port_number(item.value.substr(0, slash)); port && (only == 0 || *port == only))
        wiring.listeners.push_back({id, *port, slash < item.value.size() ? std::string(item.value.substr(slash + 1)) : "tcp", "expose", false});
    }
    for (const auto& variable : service.environment)
      if (says_port(variable.name))
        if (const auto port = port_number(variable.value.value)) {
          // DB_PORT beside DB_HOST is another's port
          const auto prefix = variable.name.substr(0, variable.name.rfind("PORT"));
          const bool partner = !prefix.empty() && (service.env(std::string(prefix) + "HOST") != nullptr || service.env(std::string(prefix) + "SERVER") != nullptr);
          if (!partner) wiring.listeners.push_back({id, *port, "tcp", "environment " + std::string(variable.name), false});
        }
    if (service.healthcheck && !service.healthcheck->disabled) {
      std::vector<std::string_view> words;
      for (const auto& word : service.healthcheck->test) words.push_back(word.value);
      for (const auto& host : hosts_in_command(words))
        if (host.port && (host.host == "localhost" || host.host.starts_with("127.") || host.host == "::1" || host.host == "0.0.0.0"))
          wiring.listeners.push_back({id, *host.port, "tcp", "healthcheck", false});
    }
  }
}

std::optional<bool> Wiring::listens(ServiceId id, std::uint16_t port) const {
  // They are in project order. Iterators and not a subrange: clang 14 cannot use the one of libstdc++ 12.
  auto listener = std::lower_bound(listeners.begin(), listeners.end(), id, [](const Listener& one, ServiceId wanted) { return one.service < wanted; });
  bool certain = true;
  bool any_certain = false;
  for (; listener != listeners.end() && listener->service == id; ++listener) {
    if (listener->port == port) return true;
    if (listener->evidence.starts_with("product ") && !listener->certain) certain = false;
    any_certain = any_certain || listener->certain;
  }
  certain = certain && any_certain;
  return certain ? std::optional<bool>(false) : std::nullopt;
}

}  // namespace dm::wiring

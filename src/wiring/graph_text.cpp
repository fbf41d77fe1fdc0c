#include "wiring/graph_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/json.hpp"
#include "wiring/graph_edges.hpp"

namespace dm::wiring {
namespace {

std::string address(const Reference& reference) {
  return reference.port ? fmt::format("{}:{}", reference.host, *reference.port) : reference.host;
}

/// "environment DATABASE_URL", "depends_on"
std::string reason(const Reference& reference) {
  const auto via = to_string(reference.via);
  return reference.key.empty() || reference.key == via ? std::string(via) : fmt::format("{} {}", via, reference.key);
}

std::string names_of(const Wiring& wiring, const std::vector<ServiceId>& ids) {
  std::string out;
  for (const auto id : ids) out += fmt::format("{}{}", out.empty() ? "" : ", ", wiring.service(id).name);
  return out;
}

constexpr std::size_t kMostNames = 12;
constexpr std::size_t kMostFalls = 2000;  ///< services; the sum over a longer chain is quadratic

std::vector<ServiceId> falls_with(const Wiring& wiring, ServiceId id) {
  return wiring.project->services.size() <= kMostFalls ? wiring.blast_radius(id) : std::vector<ServiceId>();
}

/// "profile a", "profiles a, b", "no profile"
std::string chosen(const std::vector<std::string>& profiles) {
  if (profiles.empty()) return "no profile";
  return fmt::format("profile{} {}", profiles.size() == 1 ? "" : "s", fmt::join(profiles, ", "));
}

std::string dot_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

std::string text_line(const Wiring& wiring, const Reference& reference) {
  const auto& project = *wiring.project;
  const auto place = project.texts.describe(reference.where, project.folder);
  const auto name = reference.to != kNone ? wiring.service(reference.to).name : std::string_view(reference.host);
  auto out = fmt::format("  -> {}", name);
  const auto called = address(reference);
  if (called != name) out += fmt::format(" as {}", called);
  out += fmt::format("  {}", reason(reference));
  if (!place.empty()) out += fmt::format(", {}", place);
  using Outcome = Reference::Outcome;
  if (reference.outcome == Outcome::reachable && !reference.network.empty()) out += fmt::format("  [{}]", reference.network);
  else if (reference.outcome != Outcome::reachable) out += fmt::format("  [{}]", to_string(reference.outcome));
  if (reference.port_listens == std::optional<bool>(false)) out += "  [does not listen there]";
  if (!reference.firm && reference.via != Reference::Via::depends_on) out += "  (perhaps)";
  return out + "\n";
}

}  // namespace

std::string_view to_string(Reference::Via via) {
  switch (via) {
    case Reference::Via::environment: return "environment";
    case Reference::Via::command: return "command";
    case Reference::Via::healthcheck: return "healthcheck";
    case Reference::Via::label: return "label";
    case Reference::Via::config_file: return "config_file";
    case Reference::Via::depends_on: return "depends_on";
    case Reference::Via::proxy_route: return "proxy_route";
    case Reference::Via::extra: return "extra";
  }
  return "extra";
}

std::string_view to_string(Reference::Outcome outcome) {
  switch (outcome) {
    case Reference::Outcome::reachable: return "reachable";
    case Reference::Outcome::no_common_network: return "no_common_network";
    case Reference::Outcome::unknown_name: return "unknown_name";
    case Reference::Outcome::external: return "external";
    case Reference::Outcome::self: return "self";
    case Reference::Outcome::host: return "host";
    case Reference::Outcome::inactive: return "inactive";
  }
  return "external";
}

std::vector<Edge> edges_of(const Wiring& wiring) {
  std::map<std::pair<ServiceId, ServiceId>, Edge> edges;
  for (const Reference& reference : wiring.references) {
    if (reference.to == kNone || reference.to == reference.from) continue;
    Edge& edge = edges[{reference.from, reference.to}];
    edge.reasons.push_back(&reference);
    const bool depends = reference.via == Reference::Via::depends_on;
    edge.depends = edge.depends || depends;
    edge.inactive = edge.inactive || reference.outcome == Reference::Outcome::inactive;
    // depends_on only orders the start: it needs no network
    edge.blocked = edge.blocked || (reference.firm && reference.outcome == Reference::Outcome::no_common_network);
    edge.guess = edge.guess && !depends && !reference.firm;
  }
  for (ServiceId id = 0; id < wiring.project->services.size(); ++id) {  // also the ones that wait for a job to complete
    for (const auto& dependency : wiring.service(id).depends_on) {
      const auto target = wiring.id_of(dependency.service);
      if (target == kNone || target == id) continue;
      Edge& edge = edges[{id, target}];
      edge.depends = true;
      edge.guess = false;
    }
  }
  std::vector<Edge> out;
  out.reserve(edges.size());
  for (auto& [key, edge] : edges) {
    edge.from = key.first;
    edge.to = key.second;
    out.push_back(std::move(edge));
  }
  return out;
}

std::string_view role_of(const Wiring& wiring, ServiceId id) {
  if (wiring.datastore(id) != nullptr) return "datastore";
  if (wiring.one_shot[id]) return "one-shot";
  const auto* product = wiring.product_of[id];
  return product != nullptr && product->kind == "proxy" ? "proxy" : "service";
}

std::string graph_text(const Wiring& wiring) {
  std::string out;
  const auto& services = wiring.project->services;
  std::vector<std::vector<const Reference*>> by_service(services.size());
  for (const Reference& reference : wiring.references)
    if (reference.outcome != Reference::Outcome::self) by_service[reference.from].push_back(&reference);
  std::vector<std::string> waits(services.size());
  for (ServiceId id = 0; id < services.size(); ++id)
    for (const auto& dependency : services[id].depends_on)
      if (dependency.condition == "service_completed_successfully")
        waits[id] += fmt::format("  -> {}  depends_on, {}  [until it completed]\n", dependency.service,
                                 wiring.project->texts.describe(dependency.where, wiring.project->folder));
  for (ServiceId id = 0; id < services.size(); ++id) {
    const Service& service = services[id];
    std::string networks;
    for (const auto& use : service.networks) networks += fmt::format("{}{}", networks.empty() ? "" : ", ", use.network);
    if (service.network_mode) networks = fmt::format("network_mode {}", service.network_mode.value);
    const auto role = role_of(wiring, id);
    out += fmt::format("{}{}  [{}]{}\n", service.name, role == "service" ? "" : fmt::format("  ({})", role), networks, service.enabled ? "" : "  (off)");
    for (const auto* reference : by_service[id]) out += text_line(wiring, *reference);
    out += waits[id];
    if (!wiring.dependents[id].empty()) out += fmt::format("  <- {}\n", names_of(wiring, wiring.dependents[id]));
    if (const auto with_it = falls_with(wiring, id); with_it.size() > wiring.dependents[id].size()) {
      const auto shown = std::min(with_it.size(), kMostNames);
      out += fmt::format("  falls with it: {}", names_of(wiring, {with_it.begin(), with_it.begin() + static_cast<std::ptrdiff_t>(shown)}));
      out += with_it.size() > shown ? fmt::format(" and {} more\n", with_it.size() - shown) : "\n";
    }
  }
  for (const auto& trouble : wiring.profile_troubles)
    out += fmt::format("{}{}: {} needs {}, which is not in it ({})\n", &trouble == wiring.profile_troubles.data() ? "\n" : "", chosen(trouble.profiles),
                       wiring.service(trouble.service).name, wiring.service(trouble.dependency).name, trouble.basis);
  if (!wiring.critical_path.empty()) {
    const bool off = wiring.project->profiles.empty() && std::ranges::any_of(services, [](const Service& service) { return !service.enabled; });
    out += fmt::format("\nslowest start{}: ", off ? " of all profiles together" : "");
    for (std::size_t i = 0; i < wiring.critical_path.size(); ++i)
      out += fmt::format("{}{}", i == 0 ? "" : " -> ", wiring.service(wiring.critical_path[i]).name);
    out += '\n';
  }
  return out;
}

std::string graph_dot(const Wiring& wiring) {
  std::string out = fmt::format("digraph {} {{\n  rankdir=TB;\n  node [shape=box, style=rounded];\n", dot_quote(wiring.project->name));
  for (ServiceId id = 0; id < wiring.project->services.size(); ++id) {
    const auto role = role_of(wiring, id);
    const auto* shape = role == "datastore" ? ", shape=cylinder, style=solid" : role == "proxy" ? ", shape=house, style=solid" : role == "one-shot" ? ", style=dashed" : "";
    out += fmt::format("  {} [label={}{}{}];\n", dot_quote(wiring.service(id).name), dot_quote(wiring.service(id).name), shape,
                       wiring.service(id).enabled ? "" : ", color=gray, fontcolor=gray");
  }
  for (const Edge& edge : edges_of(wiring)) {
    std::string label;
    for (const auto* reference : edge.reasons)
      if (reference->port && label.find(std::to_string(*reference->port)) == std::string::npos)
        label += fmt::format("{}{}", label.empty() ? "" : ", ", *reference->port);
    const auto* style = edge.blocked ? ", color=red, style=bold" : edge.inactive ? ", color=gray, style=dotted" : edge.guess ? ", style=dashed" : "";
    out += fmt::format("  {} -> {} [label={}{}];\n", dot_quote(wiring.service(edge.from).name), dot_quote(wiring.service(edge.to).name), dot_quote(label), style);
  }
  return out + "}\n";
}

std::string graph_json(const Wiring& wiring) {
  const auto& project = *wiring.project;
  const auto services = project.services.size();
  JsonWriter writer;
  writer.begin_object().key("version").value(std::int64_t{1}).key("project").value(project.name).key("services").begin_array();
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    const Service& service = project.services[id];
    const auto* product = wiring.product_of[id];
    writer.begin_object().key("name").value(service.name).key("role").value(role_of(wiring, id)).key("enabled").value(service.enabled);
    writer.key("product");
    if (product != nullptr) writer.value(std::string_view(product->id));
    else writer.null();
    writer.key("networks").begin_array();
    for (const auto& use : service.networks) writer.value(use.network);
    writer.end().key("dependents").begin_array();
    for (const auto other : wiring.dependents[id]) writer.value(wiring.service(other).name);
    writer.end();
    if (services <= kMostFalls) writer.key("falls_with_it").value(static_cast<std::uint64_t>(wiring.blast_radius(id).size()));
    writer.end();
  }
  writer.end().key("edges").begin_array();
  for (const Reference& reference : wiring.references) {
    writer.begin_object().key("from").value(wiring.service(reference.from).name).key("to");
    if (reference.to != kNone) writer.value(wiring.service(reference.to).name);
    else writer.null();
    writer.key("host").value(std::string_view(reference.host)).key("port");
    if (reference.port) writer.value(static_cast<std::uint64_t>(*reference.port));
    else writer.null();
    writer.key("scheme").value(std::string_view(reference.scheme)).key("via").value(to_string(reference.via)).key("key").value(std::string_view(reference.key));
    writer.key("outcome").value(to_string(reference.outcome)).key("network").value(std::string_view(reference.network)).key("port_listens");
    if (reference.port_listens) writer.value(*reference.port_listens);
    else writer.null();
    writer.key("firm").value(reference.firm);
    const auto position = project.texts.position(reference.where);
    writer.key("file").value(reference.where ? sources::relative_to(project.texts.at(reference.where.file).path, project.folder) : std::string_view());
    writer.key("line").value(static_cast<std::uint64_t>(position.line)).key("column").value(static_cast<std::uint64_t>(position.column)).end();
  }
  writer.end().key("critical_path").begin_array();
  for (const auto id : wiring.critical_path) writer.value(wiring.service(id).name);
  writer.end().key("profile_troubles").begin_array();
  for (const auto& trouble : wiring.profile_troubles) {
    writer.begin_object().key("profiles").begin_array();
    for (const auto& profile : trouble.profiles) writer.value(std::string_view(profile));
    writer.end().key("service").value(wiring.service(trouble.service).name).key("needs").value(wiring.service(trouble.dependency).name);
    writer.key("basis").value(std::string_view(trouble.basis)).end();
  }
  writer.end().end();
  return writer.take() + "\n";
}

}  // namespace dm::wiring

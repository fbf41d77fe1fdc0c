#include <algorithm>
#include <chrono>
#include <set>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

/// How long a service may take until Compose gives up on it: start_period + interval x retries, seconds.
double health_budget(const Service& service) {
  if (!service.healthcheck || service.healthcheck->disabled) return 1;
  const auto seconds = [](const auto& value, double otherwise) {
    return value ? std::chrono::duration<double>(*value).count() : otherwise;
  };
  const auto& check = *service.healthcheck;
  return seconds(check.start_period, 0) + seconds(check.interval, 30) * static_cast<double>(check.retries.value_or(3));
}

}  // namespace

void build_graph(Wiring& wiring) {
  const auto count = wiring.project->services.size();
  wiring.dependencies.assign(count, {});
  wiring.dependents.assign(count, {});
  std::set<std::pair<ServiceId, ServiceId>> edges;
  for (ServiceId id = 0; id < count; ++id)
    for (const auto& dependency : wiring.service(id).depends_on)
      if (const auto target = wiring.id_of(dependency.service); target != kNone) edges.emplace(id, target);
  for (const auto& reference : wiring.references)
    if (reference.firm && reference.outcome == Reference::Outcome::reachable && reference.to != reference.from) edges.emplace(reference.from, reference.to);
  for (const auto& [from, to] : edges) {
    wiring.dependencies[from].push_back(to);
    wiring.dependents[to].push_back(from);
  }
  // Longest chain over depends_on, of what the chosen profiles start (of everything where none is chosen); the loader has refused circles, so a
  // bounded relaxation ends.
  const auto starts = [&](ServiceId id) { return wiring.project->profiles.empty() || wiring.service(id).enabled; };
  std::vector<double> total(count, -1);
  std::vector<ServiceId> next(count, kNone);
  std::vector<std::pair<ServiceId, std::size_t>> stack;
  std::vector<bool> open(count, false);
  for (ServiceId start = 0; start < count; ++start) {
    if (total[start] >= 0) continue;
    stack.assign(1, {start, 0});
    open[start] = true;
    while (!stack.empty()) {
      const auto id = stack.back().first;
      const auto& depends = wiring.service(id).depends_on;
      if (stack.back().second < depends.size()) {
        const auto target = wiring.id_of(depends[stack.back().second++].service);
        if (target == kNone || total[target] >= 0 || open[target]) continue;
        open[target] = true;
        stack.emplace_back(target, 0);
        continue;
      }
      double longest = 0;
      for (const auto& dependency : depends) {
        const auto target = wiring.id_of(dependency.service);
        if (target == kNone || !starts(target) || total[target] <= longest) continue;
        longest = total[target];
        next[id] = target;
      }
      total[id] = longest + health_budget(wiring.service(id));
      stack.pop_back();
    }
  }
  auto at = kNone;
  for (ServiceId id = 0; id < count; ++id)
    if (starts(id) && (at == kNone || total[id] > total[at])) at = id;
  for (std::size_t i = 0; at != kNone && i < count; ++i, at = next[at]) wiring.critical_path.push_back(at);
  std::ranges::reverse(wiring.critical_path);
}

std::vector<ServiceId> Wiring::blast_radius(ServiceId id) const {
  std::vector<bool> seen(dependents.size(), false);
  std::vector<ServiceId> out;
  std::vector<ServiceId> open{id};
  seen[id] = true;
  while (!open.empty()) {
    const auto at = open.back();
    open.pop_back();
    for (const auto dependent : dependents[at]) {
      if (seen[dependent]) continue;
      seen[dependent] = true;
      out.push_back(dependent);
      open.push_back(dependent);
    }
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace dm::wiring

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// So many services that wait without need are a pattern, not an oversight.
constexpr std::size_t kMany = 4;

/// Reads configuration that we have not seen, so it may well talk to what it waits for.
bool has_own_configuration(const compose::Service& service) {
  // Without a single variable or word it is configured in its image (Spring's services know their config server by default).
  return !service.configs.empty() || service.build != nullptr || (service.environment.empty() && service.command.empty()) ||
         std::ranges::any_of(service.mounts, [](const compose::Mount& mount) { return mount.type == compose::Mount::Type::bind; });
}

}  // namespace

extern constinit const Rule startup_coupling{
    .id = "DM0103",
    .name = "startup-coupling",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "many services wait for one that they never use",
    .rationale = "Each `condition: service_healthy` ties the start of one service to another. Where the waiting service does not "
                 "talk to it, the tie buys nothing: when the one in the middle (a proxy, a dashboard) fails its check, the whole "
                 "stack stays down.",
    .fix = "Remove the dependency. A proxy waits for nobody and nobody waits for it: it answers 502 until a service is there.",
    .checks = "114 O31",
    .bad = R"(services:
  proxy:
    image: caddy:2.8
  wiki:
    image: example/wiki:1.0
    environment: {TITLE: wiki}
    depends_on:
      proxy: {condition: service_healthy}  # <- DM0103
  blog:
    image: example/blog:1.0
    environment: {TITLE: blog}
    depends_on:
      proxy: {condition: service_healthy}
  chat:
    image: example/chat:1.0
    environment: {TITLE: chat}
    depends_on:
      proxy: {condition: service_healthy}
  mail:
    image: example/mail:1.0
    environment: {TITLE: mail}
    depends_on:
      proxy: {condition: service_healthy}
)",
    .good = R"(services:
  proxy:
    image: caddy:2.8
  wiki:
    image: example/wiki:1.0
  blog:
    image: example/blog:1.0
  chat:
    image: example/chat:1.0
  mail:
    image: example/mail:1.0
)",
    .look_alike = R"(services:
  config:
    image: example/config:1.0
  orders:
    image: example/orders:1.0
    depends_on:
      config: {condition: service_healthy}
  bills:
    image: example/bills:1.0
    depends_on:
      config: {condition: service_healthy}
  stock:
    image: example/stock:1.0
    depends_on:
      config: {condition: service_healthy}
  users:
    image: example/users:1.0
    depends_on:
      config: {condition: service_healthy}
  sso:
    image: example/sso:1.0
  wiki:
    image: example/wiki:1.0
    environment: {OIDC_URL: "http://sso:8080"}
    depends_on:
      sso: {condition: service_healthy}
  blog:
    image: example/blog:1.0
    environment: {OIDC_URL: "http://sso:8080"}
    depends_on:
      sso: {condition: service_healthy}
  chat:
    image: example/chat:1.0
    environment: {OIDC_URL: "http://sso:8080"}
    depends_on:
      sso: {condition: service_healthy}
  mail:
    image: example/mail:1.0
    environment: {OIDC_URL: "http://sso:8080"}
    depends_on:
      sso: {condition: service_healthy}
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          std::set<std::pair<ServiceId, ServiceId>> uses;
          for (const auto& reference : input.wiring.references)
            if (reference.via != wiring::Reference::Via::depends_on) uses.emplace(reference.from, reference.to);
          std::set<ServiceId> stores;
          for (const auto& store : input.wiring.datastores) stores.insert(store.service);
          struct Tie {
            std::vector<ServiceId> services;
            std::vector<Location> where;
            std::size_t all = 0;
          };
          std::vector<Tie> ties(input.project.services.size());
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& dependency : service.depends_on) {
              const auto target = input.wiring.id_of(dependency.service);
              if (target == wiring::kNone || dependency.condition != "service_healthy" || !dependency.required || dependency.implied) continue;
              ++ties[target].all;
              if (stores.contains(target) || uses.contains({id, target}) || has_own_configuration(service)) continue;
              ties[target].services.push_back(id);
              ties[target].where.push_back(dependency.where);
            }
          });
          for (ServiceId target = 0; target < ties.size(); ++target) {
            auto& tie = ties[target];
            if (tie.services.size() < kMany) continue;
            const auto& name = input.wiring.service(target).name;
            auto evidence = fmt::format("no variable of {} names it; its failure holds {} of {} services back", join_names(input, tie.services),
                                        input.wiring.blast_radius(target).size(), input.project.services.size() - 1);
            auto message = fmt::format("{} services wait for '{}' to be healthy but never use it", tie.services.size(), name);
            report.add_all(std::move(tie.where), std::move(tie.services), std::move(message), std::move(evidence));
          }
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule public_resolver{
    .id = "DM0206",
    .name = "public-resolver",
    .severity = Severity::low,
    .area = Area::operations,
    .summary = "a service asks public name servers",
    .rationale = "Names of the local network do not resolve there, every lookup leaves the house, and where "
                 "outgoing DNS is closed the service finds nobody.",
    .fix = "Remove `dns:`: the engine's resolver passes on to the host's. Or name a server of your own.",
    .checks = "128",
    .bad = R"(services:
  app:
    image: example/app:1
    dns:
      - 8.8.8.8  # <- DM0206
      - 1.1.1.1
)",
    .good = R"(services:
  app:
    image: example/app:1
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    dns: [10.0.0.53, 172.20.0.2]
  resolver:
    image: example/unbound:1
    environment: {FORWARD: 9.9.9.9}
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          static constexpr std::string_view kPublic[] = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220"};
          struct Asked {
            std::vector<Location> where;
            std::vector<ServiceId> services;
          };
          std::map<std::string_view, Asked> asked;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto found = std::ranges::find_if(service.dns, [](const auto& server) { return std::ranges::find(kPublic, server.value) != std::end(kPublic); });
            if (found == service.dns.end()) return;
            auto& entry = asked[found->value];
            entry.where.push_back(found->where());
            entry.services.push_back(id);
          });
          for (auto& [server, entry] : asked) {
            auto message = fmt::format("{} {} the public name server {}", quoted_names(input, entry.services), entry.services.size() == 1 ? "asks" : "ask", server);
            report.add_all(std::move(entry.where), std::move(entry.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

bool open(const compose::Service& service) {
  return std::ranges::any_of(service.ports, [](const auto& port) {
    return !port.host_ip.starts_with("127.") && port.host_ip != "::1";
  });
}

bool on_default(const compose::Service& service) {
  return service.networks.size() == 1 && service.networks[0].network == "default";
}

}  // namespace

extern constinit const Rule flat_network{
    .id = "DM0220",
    .name = "flat-network",
    .severity = Severity::low,
    .area = Area::security,
    .summary = "what is open to the world shares the default network with a datastore",
    .rationale = "Without `networks` all services share one: a break-in at the edge, which has no business with the "
                 "database, stands before its port at once.",
    .fix = "Declare a network for the edge and one for the data; put on both only what needs both.",
    .checks = "36 O4",
    .bad = R"(services:
  edge:  # <- DM0220
    image: caddy:2.8.4
    ports: ["443:443"]
  app:
    image: example/app:1.0
    environment: {DB_HOST: db}
  db:
    image: postgres:16
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    ports: ["443:443"]
    networks: [front]
  app:
    image: example/app:1.0
    environment: {DB_HOST: db}
    networks: [front, data]
  db:
    image: postgres:16
    networks: [data]
networks: {front: , data: }
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    ports: ["443:443"]
    environment: {DB_HOST: db}
  local:
    image: example/tool:1.0
    ports: ["127.0.0.1:8080:8080"]
  db:
    image: postgres:16
)",
    .minutes = 20,
    .check =
        [](const Input& input, Report& report) {
          std::vector<ServiceId> services;
          std::vector<Location> where;
          std::string_view store_name;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!open(service) || !on_default(service) || input.wiring.datastore(id) != nullptr) return;
            for (const auto& store : input.wiring.datastores) {
              if (store.ephemeral || !on_default(input.wiring.service(store.service))) continue;
              // A client of the datastore belongs on its network.
              const auto& uses = input.wiring.dependencies[id];
              if (std::ranges::find(uses, store.service) != uses.end()) return;
              if (store_name.empty()) store_name = input.wiring.service(store.service).name;
              services.push_back(id);
              where.push_back(service.where);
              return;
            }
          });
          if (services.empty()) return;
          auto message = fmt::format("{} {} open to other machines and on the default network with '{}'",
                                     join_names(input, services), services.size() == 1 ? "is" : "are", store_name);
          report.add_all(std::move(where), std::move(services), std::move(message));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule datastore_port_public{
    .id = "DM0901",
    .name = "datastore-port-public",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a datastore is published on every interface",
    .rationale = "Docker's own firewall rules come before those of the host: the port is open to whoever reaches "
                 "the machine, ufw or not.",
    .fix = "Remove the port (services reach it over their network), or bind it to 127.0.0.1.",
    .checks = "31 O4",
    .bad = R"(services:
  db:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
    ports:
      - "5432:5432"  # <- DM0901
  next:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
    ports:
      - "${NEXT_PORT}:5432"  # <- DM0901
)",
    .good = R"(services:
  db:
    image: postgres:17
    tmpfs: [/var/lib/postgresql/data]
    ports:
      - "127.0.0.1:5432:5432"
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    ports:
      - "80:80"
      - "443:443"
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            const auto& service = input.wiring.service(store.service);
            auto open = published_to_all(input, service);
            if (open.where.empty()) continue;
            const auto size = open.where.size();
            report.add_all(std::move(open.where), {store.service}, fmt::format("{} of '{}' is open on every interface at port{} {}", store.product->name, service.name, size == 1 ? "" : "s", open.list));
          }
        },
};

}  // namespace dm::audit::rules

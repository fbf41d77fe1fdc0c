#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule unresolvable_host{
    .id = "DM0203",
    .name = "unresolvable-host",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a host name that nothing answers to",
    .rationale = "The name is no service, alias or container name on any network of the service, and it has no "
                 "domain: the resolver will answer that it does not exist.",
    .fix = "Correct the name, or add the missing service.",
    .checks = "107",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@postgress:5432/app  # <- DM0203
  postgres:
    image: example/db:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@postgres:5432/app
  postgres:
    image: example/db:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@db.example.org:5432/app
      LISTEN_ADDRESS: 0.0.0.0:8080
      TZ: Europe/Berlin
      CACHE_HOST: localhost
      NEO4J_URI: bolt://unused:7687
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& reference : input.wiring.references)
            if (reference.firm && reference.host != "unused" && reference.outcome == wiring::Reference::Outcome::unknown_name)
              report.add(reference.where, reference.from,
                         fmt::format("'{}' is told to use '{}' ({}), but nothing has that name", input.wiring.service(reference.from).name, reference.host, reference.key));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule port_mismatch{
    .id = "DM0204",
    .name = "port-mismatch",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a service is called on a port where it does not listen",
    .rationale = "The product listens on other ports, and nothing in the file moves them: the connection is "
                 "refused.",
    .fix = "Use the port that the product listens on.",
    .checks = "108",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@db:6432/app  # <- DM0204
  db:
    image: postgres:17
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@db:5432/app
  db:
    image: postgres:17
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DATABASE_URL: postgres://app:x@db:6432/app
  db:
    image: postgres:17
    environment:
      PGPORT: 6432
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& reference : input.wiring.references) {
            if (!reference.firm || reference.port_listens != std::optional<bool>(false) || reference.to == reference.from) continue;
            std::string ports;
            for (const auto& listener : input.wiring.listeners)
              if (listener.service == reference.to) ports += fmt::format("{}{} ({})", ports.empty() ? "" : ", ", listener.port, listener.evidence);
            report.add(reference.where, reference.from,
                       fmt::format("'{}' calls '{}' on port {} ({}), where it does not listen", input.wiring.service(reference.from).name, reference.host, *reference.port, reference.key),
                       fmt::format("it listens on {}", ports));
          }
        },
};

}  // namespace dm::audit::rules

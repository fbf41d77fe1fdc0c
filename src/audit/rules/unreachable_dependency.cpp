#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule unreachable_dependency{
    .id = "DM0201",
    .name = "unreachable-dependency",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a service cannot reach what it is told to use",
    .rationale = "Containers resolve and reach each other only over a network that both are on. Without one the "
                 "name does not even resolve.",
    .fix = "Put both on one network.",
    .checks = "105",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_HOST: db  # <- DM0201
    networks: [front]
  db:
    image: example/db:1.0
    networks: [back]
networks: {front: , back: }
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_HOST: db
    networks: [front, back]
  db:
    image: example/db:1.0
    networks: [back]
networks: {front: , back: }
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      DB_HOST: db.example.org
    networks: [front]
  db:
    image: example/db:1.0
    networks: [back]
networks: {front: , back: }
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& reference : input.wiring.references) {
            if (!reference.firm || reference.outcome != wiring::Reference::Outcome::no_common_network) continue;
            const auto list = [&](ServiceId id) {
              std::string out;
              for (const auto& use : input.wiring.service(id).networks) out += fmt::format("{}{}", out.empty() ? "" : ", ", use.network);
              return out.empty() ? std::string("no network") : out;
            };
            report.add(reference.where, reference.from,
                       fmt::format("'{}' cannot reach '{}' ({}): they share no network", input.wiring.service(reference.from).name, reference.host, reference.key),
                       fmt::format("{} is on {}; {} is on {}", input.wiring.service(reference.from).name, list(reference.from),
                                   input.wiring.service(reference.to).name, list(reference.to)));
          }
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

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
          struct Unknown {
            const wiring::Reference* first = nullptr;
            std::vector<Location> where;
            std::vector<ServiceId> services;
          };
          std::vector<Unknown> all;  // one name that nobody has, under one key, is one mistake, whoever is given it
          std::map<std::pair<std::string_view, std::string_view>, std::size_t> known;
          for (const auto& reference : input.wiring.references) {
            if (!reference.firm || reference.host == "unused" || reference.outcome != wiring::Reference::Outcome::unknown_name) continue;
            const auto [at, fresh] = known.try_emplace({reference.host, reference.key}, all.size());
            if (fresh) all.push_back({&reference, {}, {}});
            auto& one = all[at->second];
            if (std::ranges::find(one.where, reference.where) == one.where.end()) one.where.push_back(reference.where);
            if (std::ranges::find(one.services, reference.from) == one.services.end()) one.services.push_back(reference.from);
          }
          for (auto& one : all) {
            auto message = fmt::format("{} {} told to use '{}' ({}), but nothing has that name", quoted_names(input, one.services), one.services.size() == 1 ? "is" : "are", one.first->host, one.first->key);
            report.add_all(std::move(one.where), std::move(one.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

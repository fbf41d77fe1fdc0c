#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule alias_unused{
    .id = "DM0207",
    .name = "alias-unused",
    .severity = Severity::low,
    .area = Area::architecture,
    .summary = "network aliases that nothing in the project uses",
    .rationale = "Each alias is one more name that the service answers to: it hides mistakes (a wrong name still "
                 "resolves), and grows into a list that nobody dares to touch.",
    .fix = "Remove them; services reach each other by service name. Keep those that programs outside the "
           "files use, with a comment.",
    .checks = "133 O16",
    .bad = R"(services:
  edge:
    image: caddy:2.8.4
    networks:
      backend:
        aliases:
          - auth.example.org
          - old.example.org  # <- DM0207
  app:
    image: example/app:1
    environment: {ISSUER: "https://auth.example.org"}
    networks: [backend]
networks: {backend: }
)",
    .good = R"(services:
  edge:
    image: caddy:2.8.4
    networks:
      backend:
        aliases: [auth.example.org]
  app:
    image: example/app:1
    environment: {ISSUER: "https://auth.example.org"}
    networks: [backend]
networks: {backend: }
)",
    .look_alike = R"(services:
  edge:
    image: caddy:2.8.4
    networks:
      proxy:
        aliases: [auth.example.org]
networks: {proxy: {external: true}}
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          std::string everything;  // what any service is told, in one text
          each_service(input, [&](ServiceId, const compose::Service& service) {
            for (const auto& variable : service.environment) everything += fmt::format("{}\n", variable.value.value);
            for (const auto& word : service.command) everything += fmt::format("{}\n", word.value);
            for (const auto& word : service.entrypoint) everything += fmt::format("{}\n", word.value);
            for (const auto& [key, value] : service.labels) everything += fmt::format("{}\n", value.value);
            everything += health_command(service) + "\n";
          });
          for (const auto& file : input.wiring.config_files)
            if (file.file != sources::kNoFile) everything += input.project.texts.at(file.file).content;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            std::vector<Location> where;
            std::string names;
            for (const auto& use : service.networks) {
              const auto* network = input.project.network(use.network);
              if (network == nullptr || network->external) continue;
              for (const auto& alias : use.aliases) {
                if (alias.value.empty() || everything.find(alias.value) != std::string::npos) continue;
                where.push_back(alias.where());
                if (where.size() <= 6) names += fmt::format("{}{}", names.empty() ? "" : ", ", alias.value);
              }
            }
            if (where.empty()) return;
            if (where.size() > 6) names += fmt::format(" and {} more", where.size() - 6);
            report.add_all(std::move(where), {id}, fmt::format("nothing uses these aliases of '{}': {}", service.name, names));
          });
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// `mysql` for the service `mysql-mailcow`: the short name that programs inside the images expect.
bool own_name(const compose::Service& service, std::string_view alias) {
  const auto has = [&](std::string_view name) {
    for (auto at = name.find(alias); at != std::string_view::npos; at = name.find(alias, at + 1)) {
      const auto end = at + alias.size();
      const auto edge = [](char c) { return c == '-' || c == '_' || c == '.'; };
      if ((at == 0 || edge(name[at - 1])) && (end == name.size() || edge(name[end]))) return true;
    }
    return false;
  };
  return has(service.name) || has(service.container_name.value);
}

/// `photos.minio` of a MinIO with `MINIO_DOMAIN: minio`: clients make the name of a bucket's host by themselves.
bool bucket_host(const compose::Service& service, std::string_view alias) {
  const auto* domain = service.env("MINIO_DOMAIN");
  if (domain == nullptr || domain->value.value.empty()) return false;
  return alias.size() > domain->value.value.size() + 1 && alias.ends_with(domain->value.value) && alias[alias.size() - domain->value.value.size() - 1] == '.';
}

}  // namespace

extern constinit const Rule alias_unused{
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
  store:
    image: quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z
    environment: {MINIO_DOMAIN: store}
    networks: {inner: {aliases: [photos.store]}}
networks: {inner: , proxy: {external: true}}
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
          std::vector<Location> where;
          std::vector<ServiceId> ids;
          std::vector<std::string> lines;  // "caddy: grafana, vault"
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            std::string names;
            std::size_t count = 0;
            for (const auto& use : service.networks) {
              const auto* network = input.project.network(use.network);
              if (network == nullptr || network->external) continue;
              for (const auto& alias : use.aliases) {
                if (alias.value.empty() || everything.find(alias.value) != std::string::npos || own_name(service, alias.value) || bucket_host(service, alias.value)) continue;
                where.push_back(alias.where());
                if (++count <= 6) names += fmt::format("{}{}", names.empty() ? "" : ", ", alias.value);
              }
            }
            if (count == 0) return;
            if (count > 6) names += fmt::format(" and {} more", count - 6);
            ids.push_back(id);
            lines.push_back(fmt::format("'{}': {}", service.name, names));
          });
          if (where.empty()) return;
          std::string all;
          for (const auto& line : lines) all += (all.empty() ? "" : "; ") + line;
          auto message = fmt::format("nothing in the files uses {} of {}", where.size() == 1 ? "this alias" : "these aliases", all);
          report.add_all(std::move(where), std::move(ids), std::move(message));
        },
};

}  // namespace dm::audit::rules

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// What services that back up mount: volumes by key, folders by path.
std::set<std::string_view> saved_sources(const Input& input) {
  std::set<std::string_view> out;
  std::set<ServiceId> backups;
  for (const auto& store : input.wiring.datastores) backups.insert(store.backed_up_by.begin(), store.backed_up_by.end());
  each_service(input, [&](ServiceId id, const compose::Service& service) {
    const auto* product = input.wiring.product_of[id];
    if (!backups.contains(id) && (product == nullptr || product->kind != "backup") && service.name.find("backup") == std::string_view::npos) return;
    for (const auto& mount : service.mounts)
      if (!mount.source.empty()) out.insert(mount.source);
  });
  return out;
}

/// The source itself, a folder above it, or all volumes of the engine.
bool covered(const std::set<std::string_view>& saved, std::string_view source) {
  if (!source.starts_with('/') && (saved.contains("/var/lib/docker/volumes") || saved.contains("/var/lib/docker"))) return true;
  for (auto path = source; path.size() > 1; path = path.substr(0, path.rfind('/'))) {
    if (saved.contains(path)) return true;
    if (path.find('/') == std::string_view::npos) break;
  }
  return false;
}

/// An object store that a backup service is told of: it holds the backups.
bool takes_backups(const Input& input, ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  if (product == nullptr || product->kind != "object-store") return false;
  return std::ranges::any_of(input.wiring.references, [&](const auto& one) {
    const auto* from = one.to == id ? input.wiring.product_of[one.from] : nullptr;
    return from != nullptr && from->kind == "backup";
  });
}

}  // namespace

extern constinit const Rule backup_coverage{
    .id = "DM0403",
    .name = "backup-coverage",
    .severity = Severity::high,
    .area = Area::recovery,
    .summary = "data that nothing in the project backs up",
    .rationale = "Nothing among the services mounts or dumps these data for a backup. (A backup that runs outside "
                 "the project does not show in its files.)",
    .fix = "Add a backup of the database itself (a dump, not a copy of live files), and prove it by "
                 "restoring.",
    .checks = "125 O6 O34",
    .bad = R"(services:
  db:  # <- DM0403
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  vault:
    image: vaultwarden/server:1.32.0
    volumes:
      - ./vault:/data  # <- DM0403
volumes: {pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  backup:
    image: offen/docker-volume-backup:v2.43.0
    volumes: ["pg:/backup/pg:ro", "./vault:/backup/vault:ro"]
  vault:
    image: vaultwarden/server:1.32.0
    volumes:
      - ./vault:/data
volumes: {pg: }
)",
    .look_alike = R"(services:
  cache:
    image: valkey/valkey:8
    volumes: ["cache:/data"]
  store:
    image: minio/minio:RELEASE.2025-04-22T22-12-26Z
    volumes: ["store:/data"]
  saver:
    image: offen/docker-volume-backup:v2.43.0
    environment: {AWS_ENDPOINT: "store:9000", AWS_S3_BUCKET_NAME: backup}
    depends_on: [store]
volumes: {cache: , store: }
)",
    .minutes = 30,
    .check =
        [](const Input& input, Report& report) {
          std::vector<Location> where;
          std::vector<ServiceId> services;
          for (const auto& store : input.wiring.datastores) {
            if (!store.backed_up_by.empty() || store.ephemeral || !store.product->data.front().essential) continue;
            services.push_back(store.service);
            where.push_back(input.wiring.service(store.service).where);
          }
          if (!services.empty()) {
            auto message = fmt::format("no service backs up the data of {}", join_names(input, services));
            report.add_all(std::move(where), std::move(services), std::move(message));
          }
          // Applications that keep what cannot be had again in files of their own: uploads, repositories, keys, SQLite.
          const auto saved = saved_sources(input);
          std::vector<Location> places;
          std::vector<ServiceId> keepers;
          std::string what;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || !product->datastore.empty() || product->kind == "backup" || product->kind == "proxy" || input.wiring.one_shot[id] || takes_backups(input, id)) return;
            for (const auto& data : product->data) {
              if (!data.essential) continue;
              const auto mount = std::ranges::find(service.mounts, std::string_view(data.path), &compose::Mount::target);
              if (mount == service.mounts.end() || mount->read_only || mount->source.empty() || covered(saved, mount->source)) continue;
              places.push_back(mount->where);
              keepers.push_back(id);
              if (keepers.size() <= 4) what += fmt::format("{}{}: {} in {}", what.empty() ? "" : "; ", service.name, data.holds, data.path);
              return;
            }
          });
          if (keepers.empty()) return;
          auto message = fmt::format("no service backs up what these keep in files: {}", join_names(input, keepers));
          report.add_all(std::move(places), std::move(keepers), std::move(message), std::move(what),
                         "Let the backup service mount these volumes or folders read-only, and prove it by restoring.").severity = Severity::medium;
        },
};

}  // namespace dm::audit::rules

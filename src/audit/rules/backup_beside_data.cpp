#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Names of variables and words of commands that speak of a remote target; env files may hold more, so any of them is enough.
bool goes_elsewhere(const compose::Service& service) {
  const auto remote = [](std::string_view text) {
    for (const auto word : {"S3", "s3", "B2_", "b2:", "SFTP", "sftp", "RCLONE", "rclone", "WEBDAV", "AZURE", "azure", "GCS", "gs:", "SSH_", "ssh",
                            "DROPBOX", "REPOSITORY", "BORG", "REMOTE", "rsync", "rest:", "TARGET", "TARSNAP"})
      if (text.find(word) != std::string_view::npos) return true;
    return false;
  };
  if (!service.env_files.empty()) return true;
  return std::ranges::any_of(service.environment, [&](const auto& variable) { return remote(variable.name) || remote(variable.value.value); }) ||
         std::ranges::any_of(service.command, [&](const auto& word) { return remote(word.value); }) ||
         std::ranges::any_of(service.entrypoint, [&](const auto& word) { return remote(word.value); });
}

}  // namespace

extern constinit const Rule backup_beside_data{
    .id = "DM0404",
    .name = "backup-beside-data",
    .severity = Severity::medium,
    .area = Area::recovery,
    .summary = "backups are written only to this host",
    .rationale = "A disk that dies, or an intruder, takes the data and its backup together. What counts is a copy "
                 "that this host cannot delete.",
    .fix = "Send the backups to another machine or an object store as well (an S3, SFTP or REST repository, "
           "or `rclone`).",
    .checks = "O14 O15 O73",
    .bad = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  backup:  # <- DM0404
    image: offen/docker-volume-backup:v2.43.0
    volumes: ["pg:/backup/pg:ro", "./archive:/archive"]
volumes: {pg: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  backup:
    image: offen/docker-volume-backup:v2.43.0
    environment: {AWS_S3_BUCKET_NAME: "${BUCKET:?}"}
    volumes: ["pg:/backup/pg:ro", "./archive:/archive"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
  backup:
    image: mazzolino/restic:1.7.2
    environment: {RESTIC_REPOSITORY: "${RESTIC_REPOSITORY:?}"}
    volumes: ["pg:/data/pg:ro", "cache:/root/.cache"]
volumes: {pg: , cache: }
)",
    .minutes = 60,
    .check =
        [](const Input& input, Report& report) {
          std::vector<ServiceId> backups;
          for (const auto& store : input.wiring.datastores)
            for (const auto id : store.backed_up_by)
              if (std::ranges::find(backups, id) == backups.end()) backups.push_back(id);
          std::ranges::sort(backups);
          for (const auto id : backups) {
            const auto& service = input.wiring.service(id);
            const bool keeps = std::ranges::any_of(service.mounts, [](const auto& mount) {
              return !mount.read_only && (mount.type == compose::Mount::Type::bind || mount.type == compose::Mount::Type::volume) &&
                     !mount.target.ends_with("docker.sock");
            });
            if (!keeps || goes_elsewhere(service)) continue;
            report.add(service.where, id, fmt::format("'{}' writes its backups to this host only, as far as the files say", service.name));
          }
        },
};

}  // namespace dm::audit::rules

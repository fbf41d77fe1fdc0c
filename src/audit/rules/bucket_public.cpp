#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

struct Access {
  std::string_view what;    ///< "public", "upload", "download"
  std::string_view bucket;  ///< "store/photos"
  std::size_t at = 0, size = 0;
};

/// `mc anonymous set public store/photos`, and the older `mc policy set`.
std::vector<Access> opened(std::string_view text) {
  std::vector<Access> out;
  for (const std::string_view start : {"mc anonymous set ", "mc policy set ", "mc anonymous --recursive set "})
    for (auto at = text.find(start); at != std::string_view::npos; at = text.find(start, at + 1)) {
      const auto from = text.rfind('\n', at);
      const auto line = text.substr(from == std::string_view::npos ? 0 : from + 1);
      if (line.find_first_not_of(" \t") != std::string_view::npos && line[line.find_first_not_of(" \t")] == '#') continue;
      auto rest = text.substr(at + start.size());
      const auto end = rest.find_first_of(" \t");
      if (end == std::string_view::npos) continue;
      const auto what = rest.substr(0, end);
      if (what != "public" && what != "upload" && what != "download") continue;
      rest.remove_prefix(std::min(rest.find_first_not_of(" \t", end), rest.size()));
      const auto bucket = rest.substr(0, rest.find_first_of(" \t\r\n;&|\"'"));
      out.push_back({what, bucket, at, start.size() + what.size()});
    }
  return out;
}

}  // namespace

extern constinit const Rule bucket_public{
    .id = "DM0906",
    .name = "bucket-public",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a bucket is opened to everybody",
    .rationale = "`public` lets whoever reaches MinIO list, read, replace and delete everything in the bucket without signing in, `upload` fill it, `download` list and read it. Uploads "
                 "of users, exports and backups are often in the same bucket as the pictures that were meant.",
    .fix = "Take the line out and hand out presigned links; where files must be public, a bucket of their own with `download`, and nothing else in it.",
    .checks = "49",
    .bad = R"(services:
  buckets:
    image: quay.io/minio/mc:RELEASE.2025-08-13T08-35-41Z
    restart: "no"
    entrypoint: /bin/sh -c "mc mb --ignore-existing store/uploads; mc anonymous set public store/uploads"  # <- DM0906
  init:
    image: quay.io/minio/mc:RELEASE.2025-08-13T08-35-41Z
    restart: "no"
    entrypoint: [/bin/sh, /init.sh]
    volumes: ["./init.sh:/init.sh:ro"]
-- init.sh
# mc anonymous set public store/exports
mc anonymous set download store/pictures  # <- DM0906
)",
    .good = R"(services:
  buckets:
    image: quay.io/minio/mc:RELEASE.2025-08-13T08-35-41Z
    restart: "no"
    entrypoint: /bin/sh -c "mc mb --ignore-existing store/uploads"
)",
    .look_alike = R"(services:
  buckets:
    image: quay.io/minio/mc:RELEASE.2025-08-13T08-35-41Z
    restart: "no"
    entrypoint: /bin/sh -c "mc anonymous set none store/uploads; mc anonymous set private store/exports; mc anonymous get store/uploads"
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          const auto tell = [&](ServiceId id, Location where, const Access& access) {
            const bool reads = access.what == "download";
            auto& finding = report.add(where, id, fmt::format("'{}' lets everybody {} the bucket {} (mc anonymous set {})", input.wiring.service(id).name,
                                                            access.what == "public" ? "read, write and delete in" : reads ? "list and read" : "write into", access.bucket, access.what));
            if (reads) finding.severity = Severity::low;
          };
          std::set<sources::FileId> seen;
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto* words : {&service.entrypoint, &service.command})
              for (const auto& word : *words)
                for (const auto& access : opened(word.value)) tell(id, word.where() ? word.where() : place(service, words == &service.command ? "command" : "entrypoint"), access);
            for (const auto& config : config_files_of(input, id)) {
              if (config.file == sources::kNoFile || !config.path.ends_with(".sh") || !seen.insert(config.file).second) continue;
              for (const auto& access : opened(input.project.texts.at(config.file).content))
                tell(id, {config.file, {static_cast<std::uint32_t>(access.at), static_cast<std::uint32_t>(access.at + access.size)}}, access);
            }
          });
        },
};

}  // namespace dm::audit::rules

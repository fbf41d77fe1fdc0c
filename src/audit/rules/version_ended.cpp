#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Versions that get no more fixes, by the start of their number: "9.6" is 9.6 and 9.6.24. Looked up on 2026-11-27.
struct Ended {
  std::string_view product;
  std::span<const std::string_view> versions;
};
constexpr std::string_view kPostgres[]{"7", "8", "9", "10", "11", "12", "13", "14"};  // https://www.postgresql.org/support/versioning/
constexpr std::string_view kMysql[]{"5", "8.0", "8.1", "8.2", "8.3"};  // https://endoflife.date/mysql, after Oracle's lifetime support policy
constexpr std::string_view kMariadb[]{"5", "10.0", "10.1", "10.2", "10.3", "10.4", "10.5", "10.6", "10.7", "10.8", "10.9", "10.10", "11.0", "11.1", "11.2", "11.3", "11.5", "11.6", "11.7"};  // https://mariadb.org/about/#maintenance-policy
constexpr std::string_view kMongo[]{"2", "3", "4", "5", "6"};  // https://www.mongodb.com/legal/support-policy/lifecycles
constexpr std::string_view kRedis[]{"2", "3", "4", "5", "6.0", "7.0"};  // https://endoflife.date/redis
constexpr std::string_view kElastic[]{"1", "2", "5", "6", "7"};  // https://www.elastic.co/support/eol
constexpr std::string_view kZookeeper[]{"3.4", "3.5", "3.6", "3.7"};  // https://zookeeper.apache.org/releases.html
constexpr std::string_view kFirst[]{"1"};  // https://docs.portainer.io/start/lifecycle, https://doc.traefik.io/traefik/deprecation/releases/
constexpr Ended kEnded[] = {{"postgres", kPostgres},     {"mysql", kMysql},      {"mariadb", kMariadb},           {"mongodb", kMongo}, {"redis", kRedis},
                            {"elasticsearch", kElastic}, {"traefik", kFirst},    {"apache-zookeeper", kZookeeper}, {"portainer", kFirst}};

/// Images that get no more versions at all, and those that are gone from where they were.
struct Left {
  std::string_view repository;  ///< of Docker Hub; "name/" for all of one account
  bool versions_only;           ///< `latest` is still made
  bool gone;                    ///< it cannot be pulled any more
  std::string_view since, hint;
};
constexpr Left kLeft[] = {
    {"minio/minio", false, true, "since September 2026 (https://github.com/dandi/dandi-archive/pull/2922)", "quay.io/minio/minio has its last ones, which get no fixes either: keep a copy of the image, and plan for another store"},
    {"minio/mc", false, true, "since September 2026 (https://github.com/opencrvs/opencrvs-core/issues/13797)", "quay.io/minio/mc has its last ones, which get no fixes either"},
    {"bitnami/", true, true, "since September 2025 (https://github.com/bitnami/containers/issues/83267)", "take the image of the makers; bitnamilegacy/ has the old ones, which get no fixes"},
    {"bitnamilegacy/", false, false, "since August 2025 (https://github.com/bitnami/containers/issues/83267)", "take the image of the makers: how variables and folders are called differs, so move the data by a dump"},
    {"containrrr/watchtower", false, false, "since December 2025, when its repository was archived", "take a fork that is looked after, or update by hand and see that it works (`datamancy upgrade`)"},
    {"v2tec/watchtower", false, false, "since 2019", "take a fork that is looked after, or update by hand and see that it works (`datamancy upgrade`)"},
    {"grafana/promtail", false, false, "since March 2026 (https://grafana.com/docs/loki/latest/send-data/promtail/)", "grafana/alloy takes its place, and converts its file: `alloy convert --source-format=promtail`"},
    {"grafana/agent", false, false, "since November 2025 (https://grafana.com/docs/agent/latest/)", "grafana/alloy takes its place, and converts its file"},
    {"portainer/portainer", false, false, "since 2021", "portainer/portainer-ce goes on; save its data first"},
    {"weejewel/wg-easy", false, false, "since 2023", "ghcr.io/wg-easy/wg-easy goes on: read what changes between the two"},
    {"linuxserver/letsencrypt", false, false, "since 2020", "linuxserver/swag goes on"}};

const Left* left_behind(std::string_view image) {
  const auto name = product::split_image(image);
  const bool hub = name.registry.empty() || name.registry == "docker.io" || name.registry == "index.docker.io";
  const bool mirror = name.registry == "lscr.io" || name.registry == "ghcr.io";
  const bool latest = name.digest.empty() && (name.tag.empty() || name.tag == "latest");
  for (const auto& one : kLeft) {
    const bool same = one.repository.ends_with('/') ? name.repository.starts_with(one.repository) : name.repository == one.repository;
    if (!same || (one.gone && !hub) || (!hub && !mirror) || (one.versions_only && latest)) continue;
    return &one;
  }
  return nullptr;
}

/// The version that begins the tag: "9.6" of "9.6-alpine", "" where it begins with no number.
std::string_view version_of(std::string_view tag) {
  if (tag.starts_with('v')) tag.remove_prefix(1);
  const auto end = std::min(tag.find_first_not_of("0123456789."), tag.size());
  if (end < tag.size() && tag[end] != '-' && tag[end] != '_') return {};  // "3rc1", "14beta"
  return tag.substr(0, end);
}

/// "10.1" is the start of "10.1" and "10.1.3", not of "10.11".
bool starts(std::string_view version, std::string_view with) { return version.starts_with(with) && (version.size() == with.size() || version[with.size()] == '.'); }

}  // namespace

extern constinit const Rule version_ended{
    .id = "DM0707",
    .name = "version-ended",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a version whose makers mend nothing any more",
    .rationale = "Security holes that are found from now on stay open, and each year makes the way to a supported version longer: images, clients and tools stop "
                 "to know the old one.",
    .fix = "Go to a supported version: save first, read what changes between the two, and rehearse it with the data (`datamancy upgrade` does these in order).",
    .checks = "40",
    .bad = R"(services:
  db:
    image: postgres:9.6  # <- DM0707
    volumes: ["pg:/var/lib/postgresql/data"]
  shop:
    image: mysql:8.0.40  # <- DM0707
    volumes: ["shop:/var/lib/mysql"]
  updates:
    image: containrrr/watchtower:1.7.1  # <- DM0707
  files:
    image: minio/minio:RELEASE.2025-04-22T22-12-26Z  # <- DM0707
  cache:
    image: docker.io/bitnami/redis:7.4  # <- DM0707
volumes: {pg: , shop: }
)",
    .good = R"(services:
  db:
    image: postgres:17
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: mariadb:10.11
    volumes: ["db:/var/lib/mysql"]
  other:
    image: example/postgres:9.6
  mirror:
    image: registry.example.org/bitnami/redis:7.4
  newest:
    image: bitnami/redis:latest
  search:
    image: elasticsearch:8.17.0
    volumes: ["search:/usr/share/elasticsearch/data"]
  photos:
    image: ghcr.io/immich-app/postgres:14-vectorchord0.4.3
    volumes: ["photos:/var/lib/postgresql/data"]
volumes: {db: , photos: , search: }
)",
    .minutes = 60,
    .check =
        [](const Input& input, Report& report) {
          struct Ending {
            std::vector<Location> where;
            std::vector<ServiceId> services;
            const Left* left = nullptr;
          };
          std::map<std::string, Ending> endings;  // by what they run: six nodes of one image are one mistake
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.image || service.build != nullptr) return;
            const auto* left = left_behind(service.image.value);
            std::string runs(left == nullptr || left->gone ? service.image.value : product::split_image(service.image.value).repository);
            if (left == nullptr) {
              const auto* product = input.wiring.product_of[id];
              if (product == nullptr) return;
              const auto ended = std::ranges::find(kEnded, std::string_view(product->id), &Ended::product);
              const auto version = version_of(product::split_image(service.image.value).tag);
              if (product::split_image(service.image.value).repository.starts_with("immich-app/")) return;  // its makers say which one goes with a release
              if (ended == std::end(kEnded) || version.empty() || std::ranges::none_of(ended->versions, [&](std::string_view one) { return starts(version, one); })) return;
              runs = fmt::format("{} {}", product->name, version);
            }
            auto& ending = endings[runs];
            ending.left = left;
            ending.where.push_back(service.image.where());
            ending.services.push_back(id);
          });
          for (auto& [runs, ending] : endings) {
            const auto* left = ending.left;
            const bool gone = left != nullptr && left->gone;
            auto message = fmt::format("{} {} {}, which {}", quoted_names(input, ending.services), ending.services.size() == 1 ? "runs" : "run", runs,
                                       gone ? "Docker Hub has no longer: a new machine cannot pull it" : "gets no more fixes");
            auto& finding = report.add_all(std::move(ending.where), std::move(ending.services), std::move(message));
            if (left == nullptr) continue;
            finding.evidence = left->since;
            finding.hint = left->hint;
            if (gone) finding.severity = Severity::high;
          }
        },
};

}  // namespace dm::audit::rules

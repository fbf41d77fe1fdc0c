#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Versions that get no more fixes, by the start of their number: "9.6" is 9.6 and 9.6.24. Only what ended months ago.
struct Ended {
  std::string_view product;
  std::span<const std::string_view> versions;
};
constexpr std::string_view kPostgres[]{"7", "8", "9", "10", "11", "12", "13"};  // https://www.postgresql.org/support/versioning/
constexpr std::string_view kMysql[]{"5", "8.1", "8.2", "8.3"};  // https://endoflife.date/mysql, after Oracle's lifetime support policy
constexpr std::string_view kMariadb[]{"5", "10.0", "10.1", "10.2", "10.3", "10.4", "10.5", "10.7", "10.8", "10.9", "10.10", "11.0", "11.1", "11.2", "11.3"};  // https://mariadb.org/about/#maintenance-policy
constexpr std::string_view kMongo[]{"2", "3", "4", "5", "6"};  // https://www.mongodb.com/legal/support-policy/lifecycles
constexpr std::string_view kRedis[]{"2", "3", "4", "5", "6.0"};  // https://endoflife.date/redis
constexpr std::string_view kElastic[]{"1", "2", "5", "6", "7"};  // https://www.elastic.co/support/eol
constexpr std::string_view kZookeeper[]{"3.4", "3.5", "3.6", "3.7"};  // https://zookeeper.apache.org/releases.html
constexpr std::string_view kFirst[]{"1"};  // https://docs.portainer.io/start/lifecycle, https://doc.traefik.io/traefik/deprecation/releases/
constexpr Ended kEnded[] = {{"postgres", kPostgres},     {"mysql", kMysql},      {"mariadb", kMariadb},           {"mongodb", kMongo}, {"redis", kRedis},
                            {"elasticsearch", kElastic}, {"traefik", kFirst},    {"apache-zookeeper", kZookeeper}, {"portainer", kFirst}};

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
    image: mysql:5.7.44  # <- DM0707
    volumes: ["shop:/var/lib/mysql"]
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
  search:
    image: elasticsearch:8.17.0
    volumes: ["search:/usr/share/elasticsearch/data"]
volumes: {db: , search: }
)",
    .minutes = 60,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || !service.image || service.build != nullptr) return;
            const auto ended = std::ranges::find(kEnded, std::string_view(product->id), &Ended::product);
            const auto version = version_of(product::split_image(service.image.value).tag);
            if (ended == std::end(kEnded) || version.empty() || std::ranges::none_of(ended->versions, [&](std::string_view one) { return starts(version, one); })) return;
            report.add(service.image.where(), id, fmt::format("'{}' runs {} {}, which gets no more fixes", service.name, product->name, version));
          });
        },
};

}  // namespace dm::audit::rules

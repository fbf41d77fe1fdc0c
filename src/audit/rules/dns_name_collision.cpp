#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

using wiring::DnsName;

std::string_view origin(const DnsName& name) {
  switch (name.origin) {
    case DnsName::Origin::service: return "service";
    case DnsName::Origin::alias: return "alias";
    case DnsName::Origin::container_name: return "container_name";
    case DnsName::Origin::hostname: return "hostname";
    case DnsName::Origin::link: return "link";
  }
  return "name";
}

/// The same image under one alias shares the load; that is what such an alias is for.
bool replicas(const DnsName& a, const DnsName& b, const Input& input) {
  const auto& image = input.wiring.service(a.service).image;
  return a.origin == DnsName::Origin::alias && b.origin == DnsName::Origin::alias && image && image.value == input.wiring.service(b.service).image.value;
}

}  // namespace

extern constinit const Rule dns_name_collision{
    .id = "DM0202",
    .name = "dns-name-collision",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "two services answer to one name on one network",
    .rationale = "Docker's resolver answers with the addresses of both, in changing order: every second connection goes to the "
                 "wrong one. With two databases called `db` an application silently uses the other's.",
    .fix = "Rename one alias, or put the two on different networks.",
    .checks = "106 O16",
    .bad = R"(services:
  db:
    image: example/db:1.0
  shop-db:
    image: example/other-db:1.0
    networks:
      default:
        aliases: [db]  # <- DM0202
)",
    .good = R"(services:
  db:
    image: example/db:1.0
  shop-db:
    image: example/other-db:1.0
    networks:
      default:
        aliases: [shop-database]
)",
    .look_alike = R"(services:
  db:
    image: example/db:1.0
    networks: [back]
  shop-db:
    image: example/other-db:1.0
    networks:
      shop:
        aliases: [db, shop-db]
  web-1:
    image: example/web:1.0
    networks: {shop: {aliases: [web]}}
  web-2:
    image: example/web:1.0
    networks: {shop: {aliases: [web]}}
  cpu:
    image: example/model:cpu
    profiles: [cpu]
    networks: {shop: {aliases: [model]}}
  gpu:
    image: example/model:gpu
    profiles: [gpu]
    networks: {shop: {aliases: [model]}}
networks: {back: , shop: }
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          std::map<std::pair<std::string_view, std::string>, std::vector<const DnsName*>> answers;
          for (const auto& name : input.wiring.names) {
            const auto lower = lowered(name.name);
            answers[{name.network, std::move(lower)}].push_back(&name);
          }
          std::map<std::vector<const void*>, bool> seen;
          for (const auto& [key, names] : answers) {
            if (names.size() < 2) continue;
            const DnsName* given = nullptr;  // the one that was there first: a service's own name, else the first in the file
            for (const auto* name : names)
              if (given == nullptr || (name->origin == DnsName::Origin::service && given->origin != DnsName::Origin::service)) given = name;
            for (const auto* name : names) {
              if (name->service == given->service || replicas(*name, *given, input)) continue;
              const auto& mine = input.wiring.service(name->service);
              const auto& theirs = input.wiring.service(given->service);
              // One service on several networks would say the same again for each.
              if (alternatives(mine, theirs) || !seen.try_emplace({&mine, &theirs, name->name.data()}, true).second) continue;
              auto& finding = report.add(name->where, name->service, fmt::format("'{}' and '{}' both answer to '{}' on network '{}'", theirs.name, mine.name, name->name, key.first),
                                         fmt::format("{} of '{}' ({}); {} of '{}' ({})", origin(*given), theirs.name, input.project.texts.describe(given->where, input.project.folder),
                                                     origin(*name), mine.name, input.project.texts.describe(name->where, input.project.folder)));
              finding.services = {std::min(given->service, name->service), std::max(given->service, name->service)};
              finding.where.push_back(given->where);
            }
          }
        },
};

}  // namespace dm::audit::rules

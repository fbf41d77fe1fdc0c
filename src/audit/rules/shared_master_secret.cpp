#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sensitive/sensitive.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

namespace {

/// `a` is told where `b` is: a replica has the roles and passwords of its primary.
bool copies(const Input& input, ServiceId a, ServiceId b) {
  if (input.wiring.product_of[a] != input.wiring.product_of[b]) return false;
  return std::ranges::any_of(input.wiring.references,
                             [&](const auto& one) { return one.from == a && one.to == b && one.via != wiring::Reference::Via::depends_on; });
}

}  // namespace

extern constinit const Rule shared_master_secret{
    .id = "DM0507",
    .name = "shared-master-secret",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "one password for several datastores",
    .rationale = "Who learns the password of one has all of them, and none can be rotated alone.",
    .fix = "Give each datastore a variable of its own.",
    .checks = "122",
    .bad = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${PASSWORD:?}  # <- DM0507
    volumes: ["pg:/var/lib/postgresql/data"]
  shop:
    image: mariadb:11.4
    environment:
      MARIADB_ROOT_PASSWORD: ${PASSWORD:?}
    volumes: ["my:/var/lib/mysql"]
  files:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${FILES_PASSWORD:?}  # <- DM0507
    volumes: ["files:/var/lib/postgresql/data"]
  wiki:
    image: mysql:8.4
    environment:
      MYSQL_ROOT_PASSWORD: ${WIKI_PASSWORD:?}
    volumes: ["wiki:/var/lib/mysql"]
volumes: {files: , pg: , my: , wiki: }
-- .env
FILES_PASSWORD=sunflower-7
WIKI_PASSWORD=sunflower-7
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${PG_PASSWORD:?}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  shop:
    image: mariadb:11.4
    environment: {MARIADB_ROOT_PASSWORD: "${MARIADB_PASSWORD:?}"}
    volumes: ["my:/var/lib/mysql"]
volumes: {pg: , my: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${PG_PASSWORD:?}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: example/web:1
    environment: {POSTGRES_PASSWORD: "${PG_PASSWORD:?}"}
  one:
    image: postgres:17
    profiles: [postgresql]
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
  other:
    image: mysql:8.4
    profiles: [mysql]
    environment: {MYSQL_ROOT_PASSWORD: "${DB_PASSWORD:?}"}
  primary:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${HA_PASSWORD:?}"}
    volumes: ["ha:/var/lib/postgresql/data"]
  replica:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${HA_PASSWORD:?}", PRIMARY_HOST: primary}
    volumes: ["copy:/var/lib/postgresql/data"]
volumes: {pg: , ha: , copy: }
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          struct Use {
            std::vector<Location> where;
            std::vector<ServiceId> services;
          };
          std::map<std::string_view, Use> by_variable, by_value;
          std::map<std::string_view, std::set<std::string_view>> names_of;  // of a value
          for (const auto& store : input.wiring.datastores) {
            for (const auto& variable : input.wiring.service(store.service).environment) {
              const auto* value = variable.value.node;
              if (variable.from_env_file || value->segments == nullptr || !sensitive::secret_name(variable.name)) continue;
              for (const auto& segment : *value->segments) {
                if (segment.kind == compose::Segment::Kind::literal || segment.variable.empty()) continue;
                auto& use = by_variable[segment.variable];
                if (!use.services.empty() && use.services.back() == store.service) continue;
                use.where.push_back(value->where);
                use.services.push_back(store.service);
              }
            }
          }
          // Several variables, one value: the same, less plain to see.
          for (const auto& store : input.wiring.datastores)
            for (const auto& variable : input.wiring.service(store.service).environment) {
              const auto value = variable.value.value;
              if (variable.from_env_file || value.size() < 6 || !sensitive::secret_name(variable.name) || placeholder(value) || sensitive::looks_sealed(value) || sensitive::made_of_sealed(value)) continue;
              if (std::ranges::find(store.product->secret_variables, variable.name) == store.product->secret_variables.end()) continue;
              auto& use = by_value[value];
              if (!use.services.empty() && use.services.back() == store.service) continue;
              use.where.push_back(variable.value.where());
              use.services.push_back(store.service);
              names_of[value].insert(variable.name);
            }
          for (auto& [value, use] : by_value) {
            std::set<std::string_view> from;
            for (const auto id : use.services)
              for (const auto& variable : input.wiring.service(id).environment)
                if (variable.value.value == value && variable.value.node->segments != nullptr)
                  for (const auto& segment : *variable.value.node->segments)
                    if (segment.kind != compose::Segment::Kind::literal) from.insert(segment.variable);
            if (names_of[value].size() < 2 || from.size() == 1) continue;  // by one variable: below
            const auto together = [&, &services = use.services](ServiceId a) {
              return std::ranges::any_of(services, [&](ServiceId b) { return a != b && !alternatives(input.wiring.service(a), input.wiring.service(b)) && !copies(input, a, b) && !copies(input, b, a); });
            };
            if (std::ranges::none_of(use.services, together)) continue;
            std::string list;
            for (const auto name : names_of[value]) list += fmt::format("{}{}", list.empty() ? "" : ", ", name);
            auto message = fmt::format("{} are one password for {}", list, join_names(input, use.services));
            report.add_all(std::move(use.where), std::move(use.services), std::move(message));
          }
          for (auto& [name, use] : by_variable) {
            const auto together = [&, &services = use.services](ServiceId a) {
              return std::ranges::any_of(services, [&](ServiceId b) { return a != b && !alternatives(input.wiring.service(a), input.wiring.service(b)) && !copies(input, a, b) && !copies(input, b, a); });
            };
            if (std::ranges::none_of(use.services, together)) continue;
            auto message = fmt::format("{} is the password of {}", name, join_names(input, use.services));
            report.add_all(std::move(use.where), std::move(use.services), std::move(message));
          }
        },
};

}  // namespace dm::audit::rules

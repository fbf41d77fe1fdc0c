#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule wrong_data_path{
    .id = "DM0402",
    .name = "wrong-data-path",
    .severity = Severity::critical,
    .area = Area::recovery,
    .summary = "a volume is mounted where the datastore does not write",
    .rationale = "The volume stays empty and the data goes into the container: all looks well until it is "
                 "re-created.",
    .fix = "Mount the volume at the path that the product uses.",
    .checks = "124 O34",
    .bad = R"(services:
  db:
    image: mariadb:11.4
    volumes:
      - db:/var/lib/mariadb  # <- DM0402
volumes: {db: }
)",
    .good = R"(services:
  db:
    image: mariadb:11.4
    volumes:
      - db:/var/lib/mysql
volumes: {db: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment:
      PGDATA: /srv/pg
    volumes:
      - db:/srv
volumes: {db: }
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            if (!store.wrong_path || !store.product->data.front().essential) continue;
            const auto& service = input.wiring.service(store.service);
            for (const auto& mount : service.mounts) {
              if (mount.type != compose::Mount::Type::volume || mount.read_only) continue;
              report.add(mount.where, store.service, fmt::format("'{}' mounts {}, but {} writes to {}", service.name, mount.target, store.product->name, store.data_path));
              break;
            }
          }
        },
};

}  // namespace dm::audit::rules

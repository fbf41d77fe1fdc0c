#include <fmt/format.h>

#include "audit/rules/helpers.hpp"
#include "sensitive/sensitive.hpp"
#include "wiring/secret_environment.hpp"

namespace dm::audit::rules {

extern constinit const Rule secret_by_environment{
    .id = "DM0514",
    .name = "secret-by-environment",
    .severity = Severity::low,
    .area = Area::security,
    .summary = "a secret goes by environment, and the image takes it from a file",
    .rationale = "The engine keeps the environment of a container in its own files on disk and shows it in `docker inspect`; every process of the "
                 "container inherits it, and crash reports print it. A file of `secrets:` is read by who needs it.",
    .fix = "Seal the value: `datamancy up` then hands it over as a file by itself. Or by hand: the variable that the message names with "
           "`/run/secrets/NAME`, and the secret under `secrets:`.",
    .checks = "49",
    .bad = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}  # <- DM0514
      POSTGRES_USER: app
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
-- .env
POSTGRES_PASSWORD=sunflower-of-the-club
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD_FILE: /run/secrets/pg
      POSTGRES_USER: app
    secrets: [pg]
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
secrets:
  pg: {file: /run/datamancy/shop/pg}
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: sealed.POSTGRES_PASSWORD
    volumes: ["pg:/var/lib/postgresql/data"]
  app:
    image: example/app:1
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}
      API_TOKEN: ${API_TOKEN:-}
  later:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${NOT_KNOWN_YET}
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
-- .env
POSTGRES_PASSWORD=sunflower-of-the-club
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            for (const auto& one : wiring::secrets_in_environment(service, input.wiring.product_of[id])) {
              if (one.form == nullptr || sensitive::made_of_sealed(one.variable->value.value) || service.env(one.form->file_variable) != nullptr) continue;
              report.add(one.variable->where, id,
                         fmt::format("'{}' gets {} by environment, where the engine keeps it on disk; its image takes a file by {}", service.name, one.variable->name, one.form->file_variable));
            }
          });
        },
};

}  // namespace dm::audit::rules

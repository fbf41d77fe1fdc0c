#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule database_user_foreign{
    .id = "DM0124",
    .name = "database-user-foreign",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "PostgreSQL runs as the user that the other variant of its image has",
    // docker-library/postgres: 17/alpine3.22/Dockerfile; issue 1270 shows the end of initdb
    .rationale = "The user `postgres` has the number 70 in the Alpine images, 999 in those on Debian. A new volume belongs to the "
                 "image's own: another user may not change its mode, and the first start ends in `initdb: could not change "
                 "permissions of directory`.",
    .fix = "`user: \"70:70\"` for an Alpine image, `\"999:999\"` for one on Debian, or no `user:` (the image drops root by itself). "
           "A volume that the other variant filled must be given over with `chown` first.",
    .checks = "O31",
    .bad = R"(services:
  db:
    image: postgres:17-alpine
    user: "999:999"  # <- DM0124
    volumes: ["pg:/var/lib/postgresql/data"]
  old:
    image: postgres:16.4
    user: "70"  # <- DM0124
    volumes: ["old:/var/lib/postgresql/data"]
volumes: {pg: , old: }
)",
    .good = R"(services:
  db:
    image: postgres:17-alpine
    user: "70:70"
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: }
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    user: "999:999"
    volumes: ["pg:/var/lib/postgresql/data"]
  own:
    image: postgres:17-alpine
    user: "999:999"
    volumes: ["./pgdata:/var/lib/postgresql/data"]
  below:
    image: postgres:17-alpine
    user: "999:999"
    environment: {PGDATA: /var/lib/postgresql/data/pgdata}
    volumes: ["below:/var/lib/postgresql/data"]
volumes: {pg: , below: }
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& store : input.wiring.datastores) {
            const auto& service = input.wiring.service(store.service);
            const auto image = product::split_image(service.image.value);
            if (service.build != nullptr || image.tag.empty() || (image.repository != "postgres" && image.repository != "library/postgres")) continue;
            // The folder of the host may belong to whom its owner gave it; below the volume's root the server makes its folder itself.
            const bool own_volume = store.mount == nullptr || (store.mount->type == compose::Mount::Type::volume && store.mount->target == store.data_path);
            if (!own_volume) continue;
            const auto* volume = store.mount == nullptr ? nullptr : input.project.volume(store.mount->source);
            if (volume != nullptr && (volume->external || !volume->device.empty())) continue;
            const bool alpine = image.tag.find("alpine") != std::string_view::npos;
            const auto user = service.user.value.substr(0, service.user.value.find(':'));
            if (user != (alpine ? "999" : "70")) continue;
            report.add(service.user.where(), store.service,
                       fmt::format("'{}' runs as {}, but postgres has the number {} in {}", service.name, user, alpine ? 70 : 999, service.image.value),
                       fmt::format("a new volume at {} belongs to {}, and initdb as {} cannot set its mode", store.data_path, alpine ? 70 : 999, user));
          }
        },
};

}  // namespace dm::audit::rules
